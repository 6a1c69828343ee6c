/**
 * One forward of Stable Diffusion 1.5's U-Net on two 64×64 latents, served to `interleave.ts`; the peak of resident
 * memory goes to standard error at the end.
 *
 *   unet-inference.ts traced FOLDER THREADS    our trace, weights read from FOLDER's safetensors file
 *   unet-inference.ts exported FILE THREADS    PyTorch's export, run by the same engine
 */
import { readFileSync } from "node:fs";
import { openCheckpoint } from "nijimi/checkpoints";
import { spec } from "nijimi/graph";
import { UNET_2D_CONDITION_VARIANTS, unet2dCondition } from "nijimi/models";
import { parameterScope } from "nijimi/nn";
import type { Bindings } from "nijimi/onnx";
import { compile } from "nijimi/runtime";
import { float32, torchGenerator } from "nijimi/tensor";
import ort from "onnxruntime-node";
import { serve } from "../lib/contender.ts";

const [what, path, threads = "2"] = process.argv.slice(2);
const random = torchGenerator(0);
const sample = random.randn([2, 4, 64, 64]);
const timestep = float32([2], [500, 500]);
const context = random.randn([2, 77, 768]);

await serve(what === "traced" ? await traced() : await exported(), 1);
const peak = /VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
process.stderr.write(`${what}: peak ${((Number(peak) * 1024) / 1e9).toFixed(2)} GB\n`);

async function traced(): Promise<() => Promise<unknown>> {
  const net = unet2dCondition(UNET_2D_CONDITION_VARIANTS.sd1);
  const file = "diffusion_pytorch_model.safetensors";
  const { entries } = await openCheckpoint(`${path}/${file}`);
  const parameters: Record<string, Bindings[string]> = {};
  for (const [name, { dtype, shape, location }] of Object.entries(entries)) {
    if (location === undefined) throw new Error(`${name} does not lie in a file`);
    const { offset, length } = location;
    parameters[name] = { dtype, shape, location: file, offset, length };
  }
  const run = await compile(
    (inputs) =>
      net.apply(parameterScope(), "", {
        sample: inputs.sample,
        timestep: inputs.timestep,
        encoderHiddenStates: inputs.context,
      }),
    {
      sample: spec("float32", ["batch", 4, "height", "width"]),
      timestep: spec("float32", ["batch"]),
      context: spec("float32", ["batch", "tokens", 768]),
    },
    { parameters, weightsFolder: path, threads: Number(threads) },
  );
  return () => run({ sample, timestep, context });
}

async function exported(): Promise<() => Promise<unknown>> {
  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: Number(threads) });
  const tensor = ({ data, shape }: typeof sample) => new ort.Tensor("float32", data, shape);
  const feeds = { sample: tensor(sample), timestep: tensor(timestep), context: tensor(context) };
  return () => session.run(feeds);
}
