#!/usr/bin/env python3
"""What generate writes: greedy or drawn, one text or several, all at once or as it comes."""
from gpt import GPT
from program import DEBUG, ProgramTest, main, read_safetensors, text


class Generate(ProgramTest):
    def test_generate(self):
        self.trains(*DEBUG, '--steps', 200, '--lr', 1e-2, '--out', 'out')

        def says(*options):
            return self.succeeds('generate', '--model', 'out', '--prompt', 'ré', '--tokens', 100, *options)

        greedy = says('--greedy')
        self.assertRegex(greedy, r'\Aré(?s:.{100})\n\Z')
        self.assertLessEqual(set(greedy), set(text()))
        for same in ['--greedy', '--seed', 7], ['--top-k', 1], ['--temperature', 0], ['--top-p', 1e-9]:
            self.assertEqual(says(*same), greedy, same)
        self.assertEqual(says('--seed', 7), says('--seed', 7))
        self.assertNotEqual(says('--seed', 7), says('--seed', 8))
        self.assertNotEqual(says('--seed', 7), greedy)
        for other in ['--top-k', 3], ['--top-p', 0.5], ['--temperature', 3]:
            self.assertNotEqual(says('--seed', 7, *other), says('--seed', 7), other)
        self.assertEqual(self.succeeds('generate', '--model', 'out', '--tokens', 0, '--prompt', 'ré'), 'ré\n')
        self.assertEqual(len(self.succeeds('generate', '--model', 'out', '--tokens', 30)), 31)

        tokens = sorted(set(text()))
        model = GPT(read_safetensors(self.here / 'out/model.safetensors')[0], n_heads=2)
        ids = [tokens.index(c) for c in 'ré']
        while len(ids) < 16:
            logits = model.logits(ids)[-1]
            ids.append(logits.index(max(logits)))
        self.assertEqual(greedy[:16], ''.join(tokens[i] for i in ids))

    def test_generate_many(self):
        self.trains(*DEBUG, '--steps', 100, '--lr', 1e-2, '--out', 'out')
        prompts = ['ré', 'a', 'tilen kis oum']
        (self.here / 'prompts').write_text('\n'.join(prompts) + '\n', encoding='utf-8')

        def says(*options):
            return self.succeeds('generate', '--model', 'out', '--tokens', 40, *options)

        alone = [says('--prompt', prompt, '--seed', 7 + i) for i, prompt in enumerate(prompts)]
        self.assertEqual(says('--prompts', 'prompts', '--seed', 7), '\n'.join(alone))
        self.assertEqual(says('--prompt', 'a', '--samples', 2, '--seed', 7), says('--prompt', 'a', '--seed', 7) + '\n' + says('--prompt', 'a', '--seed', 8))

        text_ = says('--prompt', 'a', '--seed', 7)
        stop = text_[12]
        self.assertEqual(says('--prompt', 'a', '--seed', 7, '--stop', stop), 'a' + text_[1:].split(stop)[0] + '\n')
        varied = says('--prompt', 'a', '--greedy', '--repetition-penalty', 5)
        self.assertGreater(len(set(varied)), len(set(says('--prompt', 'a', '--greedy'))))
        self.refuses(1, '--stop: "an" is 2 tokens, not one', 'generate', '--model', 'out', '--stop', 'an')
        self.refuses(2, '--prompt or --prompts, not both', 'generate', '--model', 'out', '--prompt', 'a', '--prompts', 'prompts')

    def test_generate_streams(self):
        self.trains(*DEBUG, '--steps', 1, '--out', 'out')
        process = self.start('generate', '--model', 'out', '--tokens', 10**9)
        self.assertEqual(len(process.stdout.read(20)), 20)
        self.assertIsNone(process.poll())


if __name__ == '__main__':
    main()
