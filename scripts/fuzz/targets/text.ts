/** The prompt grammar, and the files of tokenizers. */
import {
  chunkPrompt,
  createClipTokenizer,
  loadClipVocabulary,
  loadTokenizer,
  planPrompt,
  textAtStep,
  type Tokenizer,
} from "nijimi/text";
import { words, type Target } from "../target.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

const STEPS = 20;
let clip: Tokenizer | undefined;

const prompts: Target = {
  name: "prompts",
  share: 30,
  material: async () => {
    clip = createClipTokenizer({ bpe: await loadClipVocabulary() });
    return {
      seeds: [
        "a (red:1.3) apple, ((very)) [not] \\(escaped\\) <lora:ink:0.8>",
        "[cat:dog:0.5] AND [a|b|c] :0.7 BREAK (x:[y:z:3])",
        "a, ".repeat(90),
        "[[[a:b:1]:c:2]:d:3]",
        "滲み 😀 ﬁne café\u0301",
      ].map(utf8),
      dictionary: [
        "(",
        ")",
        "[",
        "]",
        ":",
        "|",
        "\\",
        "AND",
        "BREAK",
        "<lora:",
        ">",
        ":1.5)",
        ":1e999)",
        ":-0)",
        "0.5]",
        ",",
        "\n",
        "😀",
        "\u0301",
        "\ufeff",
      ].map(utf8),
    };
  },
  // Longer than any interface lets pass.
  repair: (bytes) => bytes.subarray(0, 2 ** 16),
  run: async (bytes, random) => {
    const prompt = new TextDecoder().decode(bytes);
    const { parts } = planPrompt(prompt, {
      steps: STEPS,
      oldScheduling: random.oneIn(4),
      ...(random.oneIn(4) && { hiresSteps: 10 }),
    });
    for (const { schedule } of parts.slice(0, 4))
      chunkPrompt(textAtStep(schedule, random.int(STEPS)), { tokenizer: clip! });
  },
};

/** What a tokenizer that could be loaded is asked for. */
const TEXT = "a photo of ab <|endoftext|> 滲み 😀 it's 12!";

function useTokenizer(tokenizer: Tokenizer): void {
  const { ids } = tokenizer.encode(TEXT);
  tokenizer.decode(ids);
}

const JSON_WORDS = words(
  '"type":"Unigram"',
  '"BPE"',
  '"vocab":',
  '"merges":',
  '"normalizer":',
  "null",
  "[",
  "]",
  "{",
  "}",
  ",",
  '"',
  "-1e9",
);

const UNIGRAM = {
  added_tokens: [
    {
      id: 0,
      content: "</s>",
      special: true,
      lstrip: false,
      rstrip: false,
      normalized: false,
      single_word: false,
    },
  ],
  normalizer: { type: "Sequence", normalizers: [{ type: "NFKC" }, { type: "Lowercase" }] },
  pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
  decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
  model: {
    type: "Unigram",
    unk_id: 1,
    vocab: [
      ["</s>", 0],
      ["<unk>", 0],
      ["▁", -2],
      ["a", -3],
      ["b", -3.5],
      ["▁ab", -4],
    ],
  },
};

const BYTE_LEVEL = {
  added_tokens: [{ id: 5, content: "<|endoftext|>", special: true }],
  pre_tokenizer: {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: true,
  },
  decoder: { type: "ByteLevel" },
  model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2, Ġ: 3, Ġab: 4 }, merges: ["a b", "Ġ ab"] },
};

const tokenizerJson: Target = {
  name: "tokenizer-json",
  share: 15,
  material: async () => ({
    seeds: [UNIGRAM, BYTE_LEVEL, SPLIT].map((json) => utf8(JSON.stringify(json))),
    dictionary: JSON_WORDS,
  }),
  run: async (bytes) =>
    useTokenizer(
      loadTokenizer({
        "tokenizer.json": bytes,
        "tokenizer_config.json": utf8('{"tokenizer_class": "T5TokenizerFast"}'),
      }),
    ),
};

const SPLIT = {
  ...BYTE_LEVEL,
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      {
        type: "Split",
        pattern: { Regex: "'s|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" },
        behavior: "Removed",
        invert: true,
      },
      { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
};

const VOCABULARY =
  '{"a":0,"a</w>":1,"b":2,"b</w>":3,"ab</w>":4,"<|startoftext|>":5,"<|endoftext|>":6}';
const MERGES = "#version: 0.2\na b</w>\n";

/** A vocabulary and its merges, with a line between them by which they are told apart again. */
const vocabularies: Target = {
  name: "vocabularies",
  share: 8,
  material: async () => ({
    seeds: [utf8(`${VOCABULARY}\n\n${MERGES}`)],
    dictionary: [...JSON_WORDS, ...words("\n", " ", "</w>", "a b</w>\n")],
  }),
  run: async (bytes) => {
    const cut = new TextDecoder("latin1").decode(bytes).indexOf("\n\n");
    const at = cut < 0 ? bytes.length : cut;
    useTokenizer(
      loadTokenizer({ "vocab.json": bytes.subarray(0, at), "merges.txt": bytes.subarray(at + 2) }),
    );
  },
};

/** Fields of protobuf: 1 = piece {1: text, 2: score, 3: type}. */
function piece(text: string, score: number, type: number): number[] {
  const encoded = utf8(text);
  const message = [
    0x0a,
    encoded.length,
    ...encoded,
    0x15,
    ...new Uint8Array(Float32Array.of(score).buffer),
    0x18,
    type,
  ];
  return [0x0a, message.length, ...message];
}

const sentencePiece: Target = {
  name: "sentencepiece",
  share: 12,
  material: async () => ({
    seeds: [
      Uint8Array.from([
        ...piece("<pad>", 0, 3),
        ...piece("</s>", 0, 3),
        ...piece("<unk>", 0, 2),
        ...piece("▁", -3, 1),
        ...piece("a", -4, 1),
        ...piece("▁ab", -6, 1),
      ]),
    ],
    dictionary: words("\x0a", "\x15", "\x18\x01", "\xff\xff\xff\xff\x0f", "\x12\x00", "\x1a\x00"),
  }),
  run: async (bytes) => useTokenizer(loadTokenizer({ "spiece.model": bytes })),
};

export const textTargets: readonly Target[] = [prompts, tokenizerJson, vocabularies, sentencePiece];
