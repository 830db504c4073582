"""Viva Voce: the Realtime API for speech and audio as software you run yourself."""

__version__ = "0.1.0"
