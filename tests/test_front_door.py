"""What the package promises at its front door is there, and nothing of it is loaded before it is asked for."""

import audiornn


def test_every_name_is_there():
    for name in audiornn.__all__:
        assert getattr(audiornn, name) is not None
    assert set(audiornn._HOMES) | {"__version__"} == set(audiornn.__all__)
