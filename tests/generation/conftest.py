from byte_model import byte_tokenizer, model, tokenizer

__all__ = ["byte_tokenizer", "model", "tokenizer"]
