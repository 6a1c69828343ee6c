import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeSafetensors } from "../../checkpoints/safetensors.ts";
import { float32 } from "../../tensor/tensor.ts";
import { runLine } from "../testing/run-line.ts";

const folder = mkdtempSync(join(tmpdir(), "inspect-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a file of zeros and runs a command on it. */
async function run(shapes: Readonly<Record<string, readonly number[]>>, ...line: string[]) {
  const tensors = Object.entries(shapes).map(([name, shape]) => [
    name,
    float32(shape, new Float32Array(shape.reduce((a, b) => a * b, 1))),
  ]);
  const file = join(folder, "file.safetensors");
  writeFileSync(file, writeSafetensors(Object.fromEntries(tensors), { author: "somebody" }));
  return runLine(["inspect", file, ...line]);
}

const HEAD = { weight: [1, 768], bias: [1] };

test("a report for people names the family, the counts and the metadata", async () => {
  const { code, stdout } = await run(HEAD);
  expect(code).toBe(0);
  expect(stdout).toContain("LAION-Aesthetics v1 head");
  expect(stdout).toContain("769");
  expect(stdout).toContain("author: somebody");
});

test("a report for programs is JSON, with tensors where asked for", async () => {
  const { stdout } = await run(HEAD, "--json", "--tensors");
  expect(JSON.parse(stdout)).toMatchObject({
    kind: "model",
    family: "laion-aesthetics-linear",
    parameters: 769,
    tensorList: expect.arrayContaining([
      { name: "model.weight", dtype: "float32", shape: [1, 768] },
    ]),
  });
});

test("an adapter is told with its rank and the model that it is for", async () => {
  const name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k";
  const { stdout } = await run({
    [`${name}.lora_down.weight`]: [4, 768],
    [`${name}.lora_up.weight`]: [320, 4],
  });
  expect(stdout).toContain("Adapter: LoRA");
  expect(stdout).toContain("Stable Diffusion 1");
  expect(stdout).toContain("rank 4");
});

test("a model that is not run is named, an unknown one said to be unknown", async () => {
  const flux = {
    "double_blocks.0.img_attn.norm.key_norm.scale": [8],
    "single_blocks.0.linear1.weight": [8, 8],
  };
  expect((await run(flux)).stdout).toContain("FLUX, which is not supported");
  expect((await run({ "a.b": [2] })).stdout).toContain("of no known family");
});

test("a file that is not there ends with 3", async () => {
  const { code, stderr } = await run(HEAD);
  expect([code, stderr]).toEqual([0, ""]);
  const missing = await runLine(["inspect", join(folder, "nothing.ckpt")]);
  expect(missing.code).toBe(3);
});
