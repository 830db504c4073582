"""What the built-in responder goes by: pure pieces, the same words for the same conversation."""
