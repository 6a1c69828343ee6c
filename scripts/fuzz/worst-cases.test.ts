/** Files of a megabyte made to cost as much as they can: each within the limits of the fuzzer. */
import { zipSync } from "fflate";
import { bytesSource, openCheckpoint, parseJson } from "nijimi/checkpoints";
import { describe, expect, it } from "vitest";
import { peakMemory, runWithin } from "./limits.ts";
import { makeRandom } from "./random.ts";
import { words } from "./target.ts";

const MEGABYTE = 1_000_000;

/** As many copies as fit into a megabyte, between a head and a tail. */
function filled(head: string, unit: string, tail: string): Uint8Array {
  const count = Math.floor((MEGABYTE - head.length - tail.length) / unit.length);
  return words(head + unit.repeat(count) + tail)[0];
}

const TENSOR =
  "ctorch._utils\n_rebuild_tensor_v2\n((\x8c\x07storagectorch\nFloatStorage\n\x8c\x010\x8c\x03cpuK\x04tQK\x00K\x04\x85K\x01\x85\x89Nt.";

/** A zip of a torch checkpoint with this pickle. */
function torchZip(pickle: Uint8Array, level: 0 | 1): Uint8Array {
  return zipSync({
    "a/data.pkl": [pickle, { level }],
    "a/data/0": [new Uint8Array(16), { level: 0 }],
  });
}

const pickles: Readonly<Record<string, Uint8Array>> = {
  "empty dicts": filled("\x80\x04](", "}", "e."),
  "empty lists": filled("\x80\x04](", "]", "e."),
  "empty sets": filled("\x80\x04](", "\x8f", "e."),
  "empty tuples": filled("\x80\x04](", ")", "e."),
  "tuples of one": filled("\x80\x04](", "N\x85", "e."),
  "a high stack": filled("\x80\x04", "N", "."),
  marks: filled("\x80\x04", "(", "."),
  "a large memo": filled("\x80\x04N", "\x94", "."),
  "short strings": filled("\x80\x04](", "\x8c\x02ab", "e."),
  "Python 2 strings": filled("\x80\x02](", "U\x00", "e."),
  lines: filled("](", "Va\n", "e."),
  "long integers": filled("\x80\x02](", `\x8a\xff${"\x7f".repeat(255)}`, "e."),
  "ordered dicts": filled("\x80\x04ccollections\nOrderedDict\n\x94](", "h\x00)R", "e."),
  objects: filled("\x80\x04cargparse\nNamespace\n\x94](", "h\x00)\x81", "e."),
  "sets of a large list": filled(
    `\x80\x04c__builtin__\nset\n\x94](${"N".repeat(300_000)}e\x94](`,
    "h\x00h\x01\x85R",
    "e.",
  ),
  "states of a large dict": filled(`\x80\x04}(${"K\x01N".repeat(100_000)}u\x94](`, "}h\x00b", "e."),
  "a line without end": filled("\x80\x04V", "a", ""),
  "nested lists": filled("\x80\x04", "]", "."),
  "text escapes": filled("V", "\\u0061", "\n."),
};

const files: Readonly<Record<string, Uint8Array>> = {
  ...pickles,
  "a compressed pickle of dicts": torchZip(words(`\x80\x04](${"}".repeat(20_000_000)}e.`)[0], 1),
  "a compressed pickle of None": torchZip(words(`\x80\x04](${"N".repeat(4_000_000)}e.`)[0], 1),
  "a tensor under many names": torchZip(
    filled(`\x80\x04${TENSOR.slice(0, -1)}\x94](`, "h\x00", "e."),
    0,
  ),
  "a tensor under one long name in shared dicts": torchZip(
    words(
      `\x80\x04}X\x00\x00\x08\x00${"k".repeat(0x80000)}${TENSOR.slice(0, -1)}s\x94](${"h\x00".repeat(100_000)}e.`,
    )[0],
    0,
  ),
  "arrays of zeros in an .npz": zipSync(
    Object.fromEntries(
      Array.from({ length: 4 }, (_, i) => [`${i}.npy`, new Uint8Array(30_000_000)]),
    ),
    { level: 1 },
  ),
  "a zip of many members": zipSync(
    Object.fromEntries(Array.from({ length: 8000 }, (_, i) => [`${i}.npy`, new Uint8Array(0)])),
  ),
  "a GGUF array of empty strings": filled(
    `GGUF\x03\0\0\0${"\0".repeat(8)}\x01${"\0".repeat(7)}\x01${"\0".repeat(7)}a\x09\0\0\0\x08\0\0\0\xff\xff\x01${"\0".repeat(5)}`,
    "\0\0\0\0\0\0\0\0",
    "",
  ),
  "a header of empty objects": filled("", "\0", ""),
};

const texts: Readonly<Record<string, Uint8Array>> = {
  "empty objects": filled("[{}", ",{}", "]"),
  "objects of one": filled('[{"":0}', ',{"":0}', "]"),
  "many names": words(`{${Array.from({ length: 90_000 }, (_, i) => `"${i}":0`).join(",")}}`)[0],
  brackets: filled("", "[", ""),
  digits: filled("", "1", ""),
  escapes: filled('"', "\\n", '"'),
};

async function within(
  run: (bytes: Uint8Array) => Promise<void>,
  bytes: Uint8Array,
): Promise<string> {
  const target = { name: "worst", share: 1, material: async () => ({ seeds: [] }), run };
  const finding = await runWithin(target, { bytes, random: makeRandom(1) }, peakMemory());
  return finding ? `${finding.kind}: ${finding.message}` : "ok";
}

describe("a file of a megabyte", () => {
  it.each(Object.entries(files))("with %s is cheap to read or refuse", async (_, bytes) => {
    expect(bytes.length).toBeLessThanOrEqual(1.1 * MEGABYTE);
    const open = async (input: Uint8Array) => {
      const checkpoint = await openCheckpoint(bytesSource(input, "x.pkl"));
      await Object.values(checkpoint.entries)[0]?.read();
      await checkpoint.close();
    };
    expect(await within(open, bytes)).toBe("ok");
  });
});

describe("JSON of a megabyte", () => {
  it.each(Object.entries(texts))("with %s is cheap to read or refuse", async (_, bytes) => {
    const parse = async (input: Uint8Array) =>
      void parseJson(new TextDecoder().decode(input), { duplicateKeys: "refuse" });
    expect(await within(parse, bytes)).toBe("ok");
  });
});
