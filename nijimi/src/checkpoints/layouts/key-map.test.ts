import { describe, expect, test } from "vitest";
import { float32 } from "../../tensor/tensor.ts";
import { entryOf, readAll, type Entry } from "../checkpoint.ts";
import { prefixed, toForeign, toOurs, type KeyMap } from "./key-map.ts";

/** Entries of the given shapes, filled with different numbers. */
function filled(shapes: Readonly<Record<string, readonly number[]>>): Record<string, Entry> {
  let next = 0;
  const entries = Object.entries(shapes).map(([name, shape]): [string, Entry] => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    return [
      name,
      entryOf(
        float32(
          shape,
          Array.from({ length: size }, () => next++),
        ),
      ),
    ];
  });
  return Object.fromEntries(entries);
}

const MAP: KeyMap = [
  { foreign: "stem.0", ours: "conv_in" },
  {
    foreign: "blocks.0",
    ours: "layers.0",
    rules: [
      { foreign: "ln", ours: "norm" },
      { foreign: "ln.scale", ours: "norm.weight" },
      { foreign: "qkv", ours: ["q", "k", "v"], transform: [{ kind: "squeeze", spatial: 1 }] },
      { foreign: "out", ours: "proj", transform: [{ kind: "squeeze", spatial: 2 }] },
      { foreign: "turned", ours: "linear", transform: [{ kind: "transpose" }] },
    ],
  },
  { foreign: "blocks.0.inner", ours: "nested" },
];

const FOREIGN = filled({
  "stem.0.weight": [2, 3],
  "blocks.0.ln.scale": [2],
  "blocks.0.ln.bias": [2],
  "blocks.0.qkv.weight": [6, 2, 1],
  "blocks.0.qkv.bias": [6],
  "blocks.0.out.weight": [2, 2, 1, 1],
  "blocks.0.out.bias": [2],
  "blocks.0.turned.weight": [2, 3],
  "blocks.0.kept": [1],
  "blocks.0.inner.weight": [1],
});

describe("toOurs", () => {
  const { entries, unmapped } = toOurs(MAP, { ...FOREIGN, other: FOREIGN["blocks.0.kept"] });

  test("the longest path decides, and rules rename below it", () => {
    expect(Object.keys(entries).sort()).toEqual(
      [
        "conv_in.weight",
        "layers.0.k.bias",
        "layers.0.k.weight",
        "layers.0.kept",
        "layers.0.linear.weight",
        "layers.0.norm.bias",
        "layers.0.norm.weight",
        "layers.0.proj.bias",
        "layers.0.proj.weight",
        "layers.0.q.bias",
        "layers.0.q.weight",
        "layers.0.v.bias",
        "layers.0.v.weight",
        "nested.weight",
      ].sort(),
    );
    expect(unmapped).toEqual(["other"]);
  });

  test("shapes follow the transforms", () => {
    expect(entries["layers.0.q.weight"].shape).toEqual([2, 2]);
    expect(entries["layers.0.proj.weight"].shape).toEqual([2, 2]);
    expect(entries["layers.0.proj.bias"].shape).toEqual([2]);
    expect(entries["layers.0.linear.weight"].shape).toEqual([3, 2]);
  });
});

test("back and forth gives the same tensors", async () => {
  const back = toForeign(MAP, toOurs(MAP, FOREIGN).entries);
  expect(back.unmapped).toEqual([]);
  expect(await readAll(back.entries)).toEqual({ ...(await readAll(FOREIGN)) });
});

test("heads-first matrices are cut head by head, and put together again", async () => {
  const map: KeyMap = [
    {
      foreign: "a",
      ours: "b",
      rules: [{ foreign: "qkv", ours: ["q", "k", "v"], transform: [{ kind: "heads", heads: 2 }] }],
    },
  ];
  // Two heads of width 1: rows are q₀ k₀ v₀ q₁ k₁ v₁.
  const foreign = { "a.qkv.weight": entryOf(float32([6, 1], [0, 10, 20, 1, 11, 21])) };
  const { entries } = toOurs(map, foreign);
  const ours = await readAll(entries);
  expect([...ours["b.q.weight"].data]).toEqual([0, 1]);
  expect([...ours["b.k.weight"].data]).toEqual([10, 11]);
  expect([...ours["b.v.weight"].data]).toEqual([20, 21]);
  const back = await readAll(toForeign(map, entries).entries);
  expect([...back["a.qkv.weight"].data]).toEqual([0, 10, 20, 1, 11, 21]);
});

test("a foreign tensor is not written from a part of what it holds", () => {
  const { entries } = toOurs(MAP, FOREIGN);
  delete entries["layers.0.k.weight"];
  const back = toForeign(MAP, entries);
  expect(back.unmapped).toEqual(["layers.0.q.weight", "layers.0.v.weight"]);
});

test("names that are only read are not written", () => {
  const map: KeyMap = [
    { foreign: "new", ours: "x" },
    { foreign: "old", ours: "x", readOnly: true },
  ];
  expect(Object.keys(toOurs(map, filled({ "old.w": [1] })).entries)).toEqual(["x.w"]);
  expect(Object.keys(toForeign(map, filled({ "x.w": [1] })).entries)).toEqual(["new.w"]);
});

test("a prefix stands in front of every path", () => {
  const map = prefixed(MAP, { foreign: "model", ours: "unet" });
  expect(Object.keys(toOurs(map, filled({ "model.stem.0.weight": [1] })).entries)).toEqual([
    "unet.conv_in.weight",
  ]);
});
