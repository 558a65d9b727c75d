"""Models: where they are, how they are loaded and quantized, what is saved, the card that goes with them."""
