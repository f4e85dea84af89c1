// Samples to text with a model that `audiornn export --waveform-input` wrote; in Node or in a browser.

/**
 * Listen to a recording with a model that learnt by CTC.
 * @param {object} ort - onnxruntime-web or onnxruntime-node
 * @param {object} session - of the model
 * @param {Float32Array} samples - mono, −1…1, at the model's own rate
 * @returns {Promise<{text: string, sampleRate: number, symbols: {label: string, seconds: number}[], logProbs: Float32Array, dims: number[]}>}
 */
export async function listen(ort, session, samples) {
  const said = await session.run({ waveform: new ort.Tensor('float32', samples, [samples.length]) });
  const { data: logProbs, dims } = said.log_probs; // (frames, symbols)
  const names = said.symbols.data;
  const secondsPerFrame = said.seconds_per_frame.data[0];
  if (dims.length !== 2 || names[0] !== '<blank>') {
    throw new Error('this model does not transcribe by CTC; `audiornn info` says what it does');
  }
  const [nFrames, nSymbols] = dims;

  // The best path: each frame's most probable symbol, repeats merged, then blanks (symbol 0) dropped.
  const symbols = [];
  let before = 0;
  for (let frame = 0; frame < nFrames; frame++) {
    const row = logProbs.subarray(frame * nSymbols, (frame + 1) * nSymbols);
    const best = row.indexOf(Math.max(...row));
    if (best !== 0 && best !== before) symbols.push({ label: names[best], seconds: frame * secondsPerFrame });
    before = best;
  }
  const spelled = names.slice(1).every((label) => [...label].length === 1);
  const text = symbols.map(({ label }) => label).join(spelled ? '' : ' ').split(/\s+/).filter(Boolean).join(' ');
  return { text, sampleRate: Number(said.sample_rate.data[0]), symbols, logProbs, dims };
}
