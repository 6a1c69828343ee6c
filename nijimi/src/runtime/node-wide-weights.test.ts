import { existsSync } from "node:fs";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { add, matmul, parameter } from "../graph/ops.ts";
import { spec, trace } from "../graph/trace.ts";
import { emit } from "../onnx/emit.ts";
import { cast } from "../tensor/convert.ts";
import { torchGenerator } from "../tensor/random/torch.ts";
import { createSession } from "./session.ts";
import { widenWeights } from "./node-wide-weights.ts";

const random = torchGenerator(3);
const x = random.randn([2, 48]);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nijimi-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe.each(["float16", "bfloat16"] as const)("%s weights in a file", (dtype) => {
  const weight = cast(random.randn([48, 32]), dtype);
  const bias = random.randn([32]);
  const file = `${dtype}.bin`;
  const model = () =>
    emit(
      trace(({ x: input }) => add(matmul(input, parameter("w", [48, 32])), parameter("b", [32])), {
        x: spec("float32", ["n", 48]),
      }).graph,
      {
        w: { dtype, shape: [48, 32], location: file, offset: 8, length: 48 * 32 * 2 },
        b: { dtype: "float32", shape: [32], location: file, offset: 8 + 48 * 32 * 2, length: 128 },
      },
    );

  beforeAll(() =>
    writeFile(
      join(folder, file),
      Buffer.concat([
        new Uint8Array(8),
        new Uint8Array(weight.data.buffer),
        new Uint8Array(bias.data.buffer),
      ]),
    ),
  );

  it("become float32 ones with the same values, in a file that can go once the session is there", async () => {
    const half = await createSession(model(), { weightsFolder: folder });
    const wide = await widenWeights(model(), folder, 0);
    expect(wide?.model.graph.nodes.map(({ opType }) => opType)).not.toContain("Cast");
    const { weightsFolder, remove } = wide!;
    const session = await createSession(wide!.model, { weightsFolder });
    await remove();
    expect(existsSync(weightsFolder)).toBe(false);
    const [expected] = Object.values(await half.run({ x }));
    const [found] = Object.values(await session.run({ x }));
    expect(found.data).toEqual(expected.data);
    await session.dispose();
    await half.dispose();
  });

  it("stay where they are when they are few", async () => {
    expect((await stat(join(folder, file))).size).toBeLessThan(2 ** 26);
    expect(await widenWeights(model(), folder)).toBeUndefined();
  });
});
