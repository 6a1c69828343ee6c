/** Configs and indices: JSON as users bring it. */
import { filesFolder, openSharded, parseJson, writeSafetensors } from "nijimi/checkpoints";
import { float32 } from "nijimi/tensor";
import { words, type Target } from "../target.ts";

const DICTIONARY = words(
  "NaN",
  "-Infinity",
  "null",
  "true",
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  "\\u0000",
  "\\ud800",
  "__proto__",
  "../",
  "e999",
);

const json: Target = {
  name: "json",
  share: 10,
  material: async () => ({
    seeds: words(
      '{"a": [1, 2.5, -Infinity], "b": {"c": null, "d": "\\u00e9\\n"}}',
      '[[], {}, "x", 1e-5, true]',
    ),
    dictionary: DICTIONARY,
  }),
  run: async (bytes, random) => {
    parseJson(new TextDecoder().decode(bytes), {
      nonFinite: random.oneIn(2),
      duplicateKeys: random.oneIn(2) ? "refuse" : "last",
    });
  },
};

const SHARD = writeSafetensors({ a: float32([1], [1]) });

const shardedIndex: Target = {
  name: "sharded-index",
  share: 5,
  material: async () => ({
    seeds: words('{"metadata": {"total_size": 4}, "weight_map": {"a": "x-1.safetensors"}}'),
    dictionary: [...DICTIONARY, ...words("x-1.safetensors", '"weight_map"')],
  }),
  run: async (bytes) => {
    const files = new Map([
      ["x.index.json", bytes],
      ["x-1.safetensors", SHARD],
    ]);
    await (await openSharded(filesFolder(files), "x.index.json")).close();
  },
};

export const jsonTargets: readonly Target[] = [json, shardedIndex];
