/** One training step of the embedded model's U-Net as one graph, served to `interleave.ts`. */
import { mean, spec, square, sub } from "nijimi/graph";
import { torchGenerator } from "nijimi/tensor";
import { adamW, compileUpdate, initialVectors, type Program } from "nijimi/train";
import { serve } from "../lib/contender.ts";
import { LATENT_STEP, latentUnet } from "../lib/latent-unet.ts";

const [batch = String(LATENT_STEP.batch), threads = "2"] = process.argv.slice(2);
const { channels, side, tokens, width } = LATENT_STEP;
const n = Number(batch);
const unet = latentUnet();
const shapes = {
  x: [n, channels, side, side],
  target: [n, channels, side, side],
  timestep: [n],
  states: [n, tokens, width],
};
const program: Program = {
  players: {
    unet: { parameters: unet.parameters, optimiser: adamW(), learningRate: () => 1e-4 },
  },
  batch: Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, spec("float32", shape)]),
  ),
  losses: ({ scopes, batch: { x, target, timestep, states } }) => {
    const output = unet.apply(scopes["unet"], x, timestep, { encoderHiddenStates: states });
    return { losses: { unet: mean(square(sub(output, target))) } };
  },
};
const random = torchGenerator(0);
const update = await compileUpdate(program, { threads: Number(threads) });
const tensors = Object.fromEntries(
  Object.entries(shapes).map(([name, shape]) => [name, random.randn(shape)]),
);
let vectors = initialVectors(program, () => random);
let step = 0;
await serve(async () => {
  ({ vectors } = await update(vectors, tensors, step++));
});
