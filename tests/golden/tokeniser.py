"""What Hugging Face's tokenizers makes of some 300 strings: what GPT2Tokeniser is tested against.

    python3 tokeniser.py        writes tokeniser.json beside this file; needs tokenizers 0.23

tokeniser.json holds a tokenizer.json, trained on this project's README.md, and cases: strings with their ids. Strings are
drawn to provoke: every kind of white space, contractions, letters and numbers of all scripts, special tokens and parts of them.
"""
import json
import random
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = Path(__file__).parent
SPACES = [" ", "  ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "\u2028", "\u0085", "\u1680", "\u200b", "\u180e", "\x1c", "\x1f", "\x00"]
PIECES = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'", "''", "'l", "'r", "don't", "we'll", "I'd", "’s", "a", "B", "é", "e\u0301", "ß", "ﬁ", "ª",
          "日本語", "한글", "привет", "مرحبا", "हिन्दी", "0", "12", "²", "½", "Ⅷ", "٣", "५", "〇", "𝟘", "𝔘", "😀", "👩‍💻", "\ufeff", "\ufffd", "\U0010ffff", "-", "_", "...", "=>",
          "<|", "|>", "endoftext", "template <class T>", "std::", "return x;"]
SPECIAL = [("<|endoftext|>", False), ("<|end|>", False), ("<|end", True), ("<|end|> of", False), ("[é ö]", True), ("ftext|>", True)]   # and whether "normalized"


def train(text, size):
    """A byte-level BPE as GPT-2's, with special tokens that overlap each other."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(content, special=True, normalized=normalized) for content, normalized in SPECIAL]
    tokenizer.train_from_iterator([text], trainers.BpeTrainer(vocab_size=size, special_tokens=special[:2], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.add_special_tokens(special[2:])
    return tokenizer


def draw(text):
    """A string that is likely to be split wrongly."""
    def piece():
        match random.randrange(9):
            case 0 | 1: return random.choice(SPACES) * random.choice([1, 1, 1, 2, 3])
            case 2 | 3: return random.choice(PIECES)
            case 4: return random.choice(SPECIAL)[0]
            case 5: return chr(random.choice([random.randrange(0x80), random.randrange(0x3000), random.randrange(0xe000, 0x20000), random.randrange(0xd800)]))
            case 6: return random.choice("aeot01 ;-") * random.choice([2, 5, 40])
            case 7: return random.choice(SPECIAL)[0][:random.randrange(1, 12)]
            case 8:
                at = random.randrange(len(text))
                return text[at:at + random.randrange(1, 40)]
    return "".join(piece() for _ in range(random.randrange(1, 12)))


def main():
    random.seed(1)
    text = (HERE.parent.parent / "README.md").read_text()
    tokenizer = train(text, 700)
    strings = ["", *SPACES, *PIECES, *(draw(text) for _ in range(250))]
    cases = [[string, tokenizer.encode(string).ids] for string in strings]
    whole = {"tokenizer": json.loads(tokenizer.to_str()), "cases": cases}
    (HERE / "tokeniser.json").write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
