"""PocketSphinx in a worker process: one turn of audio in, words out as soon as they are certain.

How well PocketSphinx hears depends on one number more than on all its options: the mean of the
cepstra, which it subtracts from what it hears so that voice, microphone and level drop out. Told
nothing, it takes an average voice's for the first eight seconds, and most turns are shorter than
that. So a turn is *held* until enough speech has been heard to know the mean of this one, and only
then decoded, several times faster than it was spoken; from there on the mean follows the speech.
Only what sounds counts: a mean over speech and silence belongs to neither. `docs/recipes.md` has
the measurements.

The words of a turn depend on nothing but its audio, neither on how it was cut up nor on what the
worker heard before. Keep this module light, workers import it.
"""

import math
import re
from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from vivavoce.engines.job import Aborted, Job, Work

RATE_HZ = 16000
FRAME = 160  # samples between two cepstra, 10 ms
BLOCK = 10 * FRAME  # what is decoded at once

HELD_FRAMES = 120  # of speech: then its mean is known well enough
SHORT_FRAMES = 30  # the same, where a pause follows: a short turn is complete, or nearly
PAUSE_FRAMES = 20
LEAD_FRAMES = 25  # what is kept of the silence before the speech
AUDIBLE_DB = 30  # a frame sounds if it is no further below the loudest so far
QUIETEST_DBFS = -60.0  # and not below this, where nobody speaks

BREAK_FRAMES = 40  # a pause that ends a sentence
SENTENCE_FRAMES = 300  # which is not looked for before this
LONGEST_FRAMES = 2000  # without one, the sentence is cut anywhere: its lattice grows too large

STEADY = 4  # hypotheses in a row that a word must have been in, to be certain
UNSETTLED = 2  # words at the end of a hypothesis that never are

Mean = NDArray[np.float64]
Samples = NDArray[np.int16]
Levels = NDArray[np.float64]


class Heard(Struct, frozen=True, array_like=True):
    """A reply: words that are certain and continue those before, or, *whole*, all the words."""

    text: str
    whole: bool


class Sphinx:
    """The library: what it takes to decode a sentence once its cepstral mean is known."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        # The second pass over the words (fwdflat) gains nothing that a person would notice and
        # costs a person's wait; that over the lattice (bestpath) halves the errors of some turns.
        self._decoder = Decoder(samprate=RATE_HZ, fwdflat=False, loglevel="FATAL")
        self._words = self._decoder.current_search()
        # A search for a single word: the cheapest way to have the front end run over some audio.
        self._decoder.add_keyphrase("mean", "hello")

    def mean_of(self, samples: Samples) -> Mean:
        """The mean of the cepstra of *samples*, at most five seconds."""
        self._decoder.activate_search("mean")
        self._decoder.start_utt()
        mean, _ = self._followed(samples, np.zeros(13))
        self._decoder.end_utt()
        self._decoder.activate_search(self._words)
        return mean

    def begin(self) -> None:
        """Begin a sentence."""
        self._decoder.start_utt()

    def decode(self, samples: Samples, mean: Mean) -> tuple[Mean, int]:
        """Go on with *samples*; the sum of their own cepstra, and how many these were."""

    def words(self) -> list[str]:
        """The best hypothesis so far."""
