/** One training step (AdamW, one graph) of a bench network, served to `interleave.ts`. */
import { initialise, flatLayout } from "nijimi/nn";
import { compile } from "nijimi/runtime";
import { float32, type Tensor, torchGenerator } from "nijimi/tensor";
import { adamW, applyGraph, CONTROL, gradientGraph, vectorSpecs } from "nijimi/train";
import { serve } from "../lib/contender.ts";
import { NETWORKS } from "../lib/networks.ts";

const [name, threads = "2", check] = process.argv.slice(2);
const network = NETWORKS[name]();
const random = torchGenerator(0);
const layout = flatLayout(network.layer.parameters);
const optimiser = adamW();
const definition = { layout, optimiser };
const compiled = await compile(
  ({ vectors, batch, control }) => {
    const { loss, gradient } = gradientGraph(
      { layout, loss: (scope, given) => ({ loss: network.loss(scope, given as never) }) },
      vectors["parameters"],
      batch,
    );
    return { loss, ...applyGraph(definition, vectors, gradient, control) };
  },
  { vectors: vectorSpecs(definition), batch: network.batch, control: CONTROL },
  { threads: Number(threads) },
);
const initial = initialise(network.layer, random);
const flat = new Float32Array(layout.size);
for (const [name, { offset }] of Object.entries(layout.entries))
  flat.set(initial[name].data, offset);
let vectors: Record<string, Tensor> = {
  parameters: float32([layout.size], flat),
  m: float32([layout.size], new Float32Array(layout.size)),
  v: float32([layout.size], new Float32Array(layout.size)),
};
const batch = Object.fromEntries(
  Object.entries(network.batch).map(([name, { shape }]) => [name, random.randn(shape as number[])]),
);
let step = 0;
if (check === "--check") {
  for (let i = 0; i < 5; i++) process.stdout.write(`loss ${await once()}\n`);
  process.exit(0);
}
await serve(once);

async function once(): Promise<number> {
  step++;
  const scalar = (value: number): Tensor => float32([], [value]);
  const result = (await compiled({
    vectors,
    batch,
    control: { learningRate: scalar(1e-4), step: scalar(step), emaDecay: scalar(0) },
  } as never)) as unknown as { loss: Tensor; vectors: Record<string, Tensor> };
  vectors = result.vectors;
  return Number(result.loss.data[0]);
}
