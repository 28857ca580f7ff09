import pytest

from wire.envelope import Envelope, EnvelopeError

SECRET = b"0123456789abcdef0123456789abcdef"
PLACE = "t_one|channel|c_1"


def test_what_is_sealed_opens_in_its_place_only():
    envelope = Envelope(SECRET)
    sealed = envelope.seal("https://hooks.example.com/abc", place=PLACE)
    assert "hooks" not in sealed
    assert envelope.open(sealed, place=PLACE) == "https://hooks.example.com/abc"
    assert Envelope(SECRET).open(sealed, place=PLACE) == "https://hooks.example.com/abc"
    with pytest.raises(EnvelopeError):
        envelope.open(sealed, place="t_two|channel|c_1")
    with pytest.raises(EnvelopeError):
        Envelope(b"another secret of enough length.").open(sealed, place=PLACE)


def test_two_seals_of_a_text_differ():
    envelope = Envelope(SECRET)
    assert envelope.seal("same", place=PLACE) != envelope.seal("same", place=PLACE)


@pytest.mark.parametrize("damaged", ["", "e1", "e1..", "e2.AAAA.AAAA", "e1.!!.AAAA", "e1.AAAA.AAAA", "e1.a.b.c"])
def test_what_is_damaged_does_not_open(damaged):
    with pytest.raises(EnvelopeError):
        Envelope(SECRET).open(damaged, place=PLACE)


def test_one_changed_letter_is_noticed():
    sealed = Envelope(SECRET).seal("text", place=PLACE)
    for index in range(3, len(sealed) - 3, 7):
        letter = "A" if sealed[index] != "A" else "B"
        with pytest.raises(EnvelopeError):
            Envelope(SECRET).open(sealed[:index] + letter + sealed[index + 1 :], place=PLACE)
