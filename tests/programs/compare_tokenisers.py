"""GPT2Tokeniser against Hugging Face's tokenizers on strings drawn at random. Run by hand, since it needs PyPI:

    pip install tokenizers && python3 tests/programs/compare_tokenisers.py [STRINGS = 100000] [SEED = 1]

With tokenizer.json and with vocab.json and merges.txt, each saved again by GPT2Tokeniser; tokenizers reads what that has saved.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/golden"))
import tokeniser                                         # noqa: E402  what draws the strings

TEXT = "".join(path.read_text() for folder in ["include", "tests", "examples"] for path in sorted((ROOT / folder).rglob("*.[ch]pp"))) + (ROOT / "README.md").read_text()


def ids_of(tokenizer, strings):
    return [encoding.ids for encoding in tokenizer.encode_batch(strings)]


def compare(name, program, files, strings, expected):
    saved = files[0].parent / "saved.json"
    lines = "\n".join(json.dumps(string) for string in strings)
    done = subprocess.run([program, saved, *files], input=lines, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr}")
    found = [list(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(found) == len(strings)
    wrong = [i for i in range(len(strings)) if found[i] != expected[i]]
    print(f"{name}: {len(strings)} strings, {sum(map(len, expected))} ids, {len(wrong)} strings differ")
    for i in wrong[:5]:
        print(f"  {strings[i]!r}\n    tokenizers {expected[i]}\n    tricycle   {found[i]}")
    same = ids_of(Tokenizer.from_file(str(saved)), strings) == expected
    print("  as saved, tokenizers gives", "the same" if same else "OTHERS")
    return same and not wrong


def main():
    n, seed = (int(x) for x in (sys.argv[1:] + ["100000", "1"][len(sys.argv) - 1:]))
    random.seed(seed)
    fine = True
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        program = folder / "tokenise"
        subprocess.run([os.environ.get("CXX", "c++"), "-std=c++20", "-O2", f"-I{ROOT}/include", ROOT / "tests/programs/tokenise.cpp", "-o", program], check=True)
        for size in 500, 5000:
            tokenizer = tokeniser.train(TEXT, size)
            tokenizer.save(str(folder / "tokenizer.json"))
            strings = [tokeniser.draw(TEXT) for _ in range(n // 2)]
            expected = ids_of(tokenizer, strings)
            fine &= compare(f"tokenizer.json, {tokenizer.get_vocab_size()} tokens", program, [folder / "tokenizer.json"], strings, expected)
            # vocab.json and merges.txt do not say which tokens are special: strings without them, of the two that are in the vocabulary
            tokenizer.model.save(str(folder))
            plain = [string for string in strings if not any(content in string for content, _ in tokeniser.SPECIAL)]
            expected = ids_of(tokenizer, plain)
            fine &= compare("vocab.json and merges.txt", program, [folder / "vocab.json", folder / "merges.txt"], plain, expected)
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
