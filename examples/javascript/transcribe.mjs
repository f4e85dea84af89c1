// node transcribe.mjs MODEL.waveform.onnx FILE.wav [--log-probs]
import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-web';
import { listen } from './listen.mjs';

/** The samples of a 16-bit mono WAV. */
function readWav(file) {
  const bytes = readFileSync(file);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 12;
  let sampleRate = 0;
  while (bytes.toString('latin1', at, at + 4) !== 'data') {
    if (bytes.toString('latin1', at, at + 4) === 'fmt ') {
      const [coding, nChannels, nBits] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true), view.getUint16(at + 22, true)];
      if (coding !== 1 || nChannels !== 1 || nBits !== 16) throw new Error(`${file}: expected 16-bit mono PCM`);
      sampleRate = view.getUint32(at + 12, true);
    }
    const length = view.getUint32(at + 4, true);
    at += 8 + length + (length % 2);
  }
  const n = Math.min(view.getUint32(at + 4, true), bytes.length - at - 8) >> 1; // a stream's header promises too much
  return { sampleRate, samples: Float32Array.from({ length: n }, (_, i) => view.getInt16(at + 8 + 2 * i, true) / 32768) };
}

const [model, file, logProbsWanted] = process.argv.slice(2);
if (!file) {
  console.error('node transcribe.mjs MODEL.waveform.onnx FILE.wav [--log-probs]');
  process.exit(2);
}
const session = await ort.InferenceSession.create(readFileSync(model));
const { sampleRate, samples } = readWav(file);
const heard = await listen(ort, session, samples);
if (sampleRate !== heard.sampleRate) {
  console.error(`${file}: is at ${sampleRate} Hz, and the model hears ${heard.sampleRate} Hz; resample it first`);
  process.exit(2);
}
if (logProbsWanted) {
  console.log(JSON.stringify({ text: heard.text, dims: heard.dims, log_probs: [...heard.logProbs] }));
} else {
  console.log(heard.text);
}
