import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NijimiError } from "../errors.ts";
import { multiplyDims } from "../graph/dim.ts";
import {
  add,
  conv2d,
  gather,
  iota,
  matmul,
  mul,
  parameter,
  reshape,
  sum,
  transpose,
} from "../graph/ops.ts";
import { spec } from "../graph/trace.ts";
import { writeSafetensorsFor } from "./testing/safetensors-file.ts";
import { float32, int64, type Tensor } from "../tensor/tensor.ts";
import { compile } from "./compile.ts";
import { listDevices } from "./session.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nijimi-runtime-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const values = ({ data }: Tensor): number[] => Array.from(data as Float32Array);

describe("compile", () => {
  it("serves every size of a named dimension from one session", async () => {
    const run = await compile(
      ({ x }) =>
        reshape(transpose(x, [0, 2, 1]), [x.shape[0], multiplyDims(x.shape[1], x.shape[2])]),
      { x: spec("float32", ["batch", "rows", "columns"]) },
    );
    expect(values(await run({ x: float32([1, 2, 2], [1, 2, 3, 4]) }))).toEqual([1, 3, 2, 4]);
    expect((await run({ x: float32([3, 2, 5], new Float32Array(30)) })).shape).toEqual([3, 10]);
    await run.dispose();
  });

  it("computes with dimensions: padding, halving and counting", async () => {
    const weight = float32([1, 1, 3, 3], [0, 0, 0, 0, 1, 0, 0, 0, 0]);
    const run = await compile(
      ({ x }) => ({
        half: conv2d(x, parameter("w", [1, 1, 3, 3]), undefined, { stride: 2, padding: 1 }),
        positions: iota(multiplyDims(x.shape[2], x.shape[3])),
      }),
      { x: spec("float32", [1, 1, "height", "width"]) },
      { parameters: { w: weight } },
    );
    const { half, positions } = await run({
      x: float32(
        [1, 1, 5, 4],
        Float32Array.from({ length: 20 }, (_, i) => i),
      ),
    });
    expect(half.shape).toEqual([1, 1, 3, 2]);
    expect(values(half)).toEqual([0, 2, 8, 10, 16, 18]);
    expect(positions.shape).toEqual([20]);
    await run.dispose();
  });

  it("returns the structure that the function returned", async () => {
    const run = await compile(({ a, more: { b } }) => ({ list: [add(a, b), a], b }), {
      a: spec("float32", [2]),
      more: { b: spec("float32", [2]) },
    });
    const result = await run({ a: float32([2], [1, 2]), more: { b: float32([2], [3, 4]) } });
    expect(result.list.map(values)).toEqual([
      [4, 6],
      [1, 2],
    ]);
    expect(values(result.b)).toEqual([3, 4]);
    await run.dispose();
  });

  it("reads weights from their file without copying them through JavaScript", async () => {
    const { name, offset, length } = await writeSafetensorsFor(folder, [2, 3], [1, 2, 3, 4, 5, 6]);
    const run = await compile(
      ({ x }) => matmul(x, parameter("w", [2, 3])),
      { x: spec("float32", ["n", 2]) },
      {
        weightsFolder: folder,
        parameters: { w: { dtype: "float32", shape: [2, 3], location: name, offset, length } },
      },
    );
    expect(values(await run({ x: float32([1, 2], [1, 10]) }))).toEqual([41, 52, 63]);
    await run.dispose();
  });

  it("runs in a thread with the same results, and keeps this one free", async () => {
    const run = await compile(
      ({ x }) => mul(sum(x), 2),
      { x: spec("float32", ["n"]) },
      { worker: true },
    );
    expect(values(await run({ x: float32([3], [1, 2, 3]) }))).toEqual([12]);
    await run.dispose();
    await expect(run({ x: float32([1], [1]) })).rejects.toThrow(/disposed/);
  });

  it("keeps optimised graphs, and makes a corrupted one again", async () => {
    const cacheFolder = join(folder, "graphs");
    const build = () =>
      compile(
        ({ x }) => add(matmul(x, parameter("w", [64, 64])), 1),
        { x: spec("float32", ["n", 64]) },
        {
          cacheFolder,
          parameters: {
            w: float32(
              [64, 64],
              Float32Array.from({ length: 4096 }, (_, i) => i % 7),
            ),
          },
        },
      );
    const x = float32([1, 64], new Float32Array(64).fill(1));
    const runs: number[][] = [];
    for (const corrupt of [false, true, false]) {
      if (corrupt)
        for (const name of await readdir(cacheFolder))
          await writeFile(join(cacheFolder, name, "graph.onnx"), "not a graph");
      const run = await build();
      runs.push(values(await run({ x })));
      await run.dispose();
      expect((await readdir(cacheFolder)).length).toBe(1);
    }
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).toEqual(runs[0]);
  });
});

describe("refusals", () => {
  const inputs = { x: spec("float32", ["batch", 3]), ids: spec("int64", ["batch"]) };
  const build = () => compile(({ x, ids }) => gather(x, ids, 0), inputs);

  it("names the input, what it got and what it expected", async () => {
    const run = await build();
    const ids = int64([2], [0, 1]);
    await expect(run({ x: float32([2, 4], new Float32Array(8)), ids })).rejects.toThrow(
      /"x": got \[2,4\]; expected \[batch, 3\]/,
    );
    await expect(run({ x: float32([3, 3], new Float32Array(9)), ids })).rejects.toThrow(
      /"ids": got \[2\]; expected \[batch\] with batch = 3/,
    );
    await expect(run({ x: int64([2, 3], [1, 2, 3, 4, 5, 6]) as never, ids })).rejects.toThrow(
      /"x": got int64; expected float32/,
    );
    await expect(run({ x: float32([2, 3], new Float32Array(6)) } as never)).rejects.toThrow(
      /"ids" is missing/,
    );
    await expect(
      run({ x: float32([2, 3], new Float32Array(6)), ids, extra: ids } as never),
    ).rejects.toThrow(/Unknown input extra/);
    await run.dispose();
  });

  it("says that a session was disposed", async () => {
    const run = await build();
    await run.dispose();
    await expect(run({ x: float32([1, 3], [1, 2, 3]), ids: int64([1], [0]) })).rejects.toThrow(
      /disposed/,
    );
  });

  it("lists the devices and options that there are", async () => {
    const devices = await listDevices();
    await expect(
      compile(({ x }) => x, { x: spec("float32", [1]) }, { device: "dml" }),
    ).rejects.toThrow(`present: ${devices.join(", ")}`);
    await expect(
      compile(({ x }) => x, { x: spec("float32", [1]) }, { device: "gpu" as never }),
    ).rejects.toThrow(/Unknown device "gpu"/);
    await expect(
      compile(({ x }) => x, { x: spec("float32", [1]) }, { thread: 2 } as never),
    ).rejects.toThrow(/"thread".*Did you mean "threads"/);
    await expect(
      compile(({ x }) => x, { x: spec("float32", [1]) }, { threads: 0 }),
    ).rejects.toThrow(/whole number/);
  });

  it("refuses a parameter of another shape by name", async () => {
    const attempt = compile(
      ({ x }) => add(x, parameter("layer.bias", [3])),
      { x: spec("float32", [3]) },
      { parameters: { "layer.bias": float32([2], [1, 2]) } },
    );
    await expect(attempt).rejects.toThrow(/layer\.bias: got \[2\]; expected \[3\]/);
  });

  it("turns a failure of the engine into an error with a cause", async () => {
    const run = await build();
    const error = await run({
      x: float32([2, 3], new Float32Array(6)),
      ids: int64([2], [0, 7]),
    }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(NijimiError);
    expect(error).toMatchObject({ code: "runtime" });
    await run.dispose();
  });

  it("an allocation that cannot be is an error, not a crash", async () => {
    const run = await compile(({ x }) => matmul(x, transpose(x, [1, 0])), {
      x: spec("float32", ["n", 1]),
    });
    const x = float32([2_000_000, 1], new Float32Array(2_000_000)); // 16 TB
    await expect(run({ x })).rejects.toMatchObject({ code: "memory" });
    await run.dispose();
  });
});
