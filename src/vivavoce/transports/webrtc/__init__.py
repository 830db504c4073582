"""Calls over WebRTC: their signalling, their media and the channel that joins the two."""
