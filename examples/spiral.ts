/**
 * Diffusion in the plane (EDM, arXiv:2206.00364): a network of 13,000 numbers learns to turn noise into a
 * spiral, one session run per training step, and Heun's method draws points from it. Takes seconds.
 */
import * as diffusion from "nijimi/diffusion";
import { concat, mean, mul, silu, spec, type Sym } from "nijimi/graph";
import * as nn from "nijimi/nn";
import { compile } from "nijimi/runtime";
import { float32, sizeOf, type Tensor, torchGenerator } from "nijimi/tensor";
import { adamW, applyGraph, CONTROL, gradientGraph, vectorSpecs } from "nijimi/train";
import { drawPoints } from "./lib/draw-points.ts";

const [BATCH, UPDATES, POINTS] = [512, 2000, 4000];
const random = torchGenerator(0);
const edm = diffusion.edmPreconditioning();

// F(x, cNoise): a perceptron that is told the noise level by sines and cosines.
const network = nn.module(
  { fc1: nn.linear(34, 96), fc2: nn.linear(96, 96), fc3: nn.linear(96, 2) },
  (m, x: Sym, level: Sym) => {
    const waves = nn.timestepEmbedding(mul(level, 10), 32, { maxPeriod: 100 });
    return m.fc3(silu(m.fc2(silu(m.fc1(concat([x, waves], 1))))));
  },
);

// One graph: loss, gradient, AdamW. Parameters and optimiser state are flat vectors that go in and come out.
const layout = nn.flatLayout(network.parameters);
const definition = { layout, optimiser: adamW() };
const [points, level] = [spec("float32", [BATCH, 2]), spec("float32", [BATCH])];
const levels = { alpha: level, std: level, cSkip: level, cOut: level, cIn: level, cNoise: level };
const update = await compile(
  ({ vectors, control, ...given }) => {
    const loss = (scope: nn.Scope) => ({
      loss: mean(
        diffusion.preconditionedLoss({
          ...given,
          network: (x, c) => network.apply(scope, "", x, c),
        }),
      ),
    });
    const { gradient, ...report } = gradientGraph({ layout, loss }, vectors.parameters, {});
    return { ...report, ...applyGraph(definition, vectors, gradient, control) };
  },
  { vectors: vectorSpecs(definition), x0: points, noise: points, batch: levels, control: CONTROL },
  { threads: 1 },
);

// Training: points of the spiral r = angle / 6, and noise levels as EDM draws them.
const density = diffusion.logNormalDensity({ mean: -2 });
const initial = nn.initialise(network, random);
const zeros = float32([layout.size], new Float32Array(layout.size));
const flat = float32(
  [layout.size],
  Object.values(initial).flatMap(({ data }) => [...data]),
);
let vectors: Record<string, Tensor> = { parameters: flat, m: zeros, v: zeros };
for (let step = 1; step <= UPDATES; step++) {
  const angles = random.uniform([BATCH], 1, 3 * Math.PI).data;
  const spiral = [...angles].flatMap((a) => [(a / 6) * Math.cos(a), (a / 6) * Math.sin(a)]);
  const sigmas = [...random.rand([BATCH]).data].map(density);
  const result = await update({
    vectors,
    x0: float32([BATCH, 2], spiral),
    noise: random.randn([BATCH, 2]),
    batch: diffusion.preconditionedBatch(edm, sigmas),
    control: {
      learningRate: float32([], [5e-3 * (1 - step / UPDATES)]),
      step: float32([], [step]),
      emaDecay: float32([], [0]),
    },
  });
  vectors = result.vectors;
  if (step % 500 === 0) console.log(`update ${step}: loss ${result.loss.data[0]}`);
}
await update.dispose();

// Sampling: the same network, its weights now constants.
const parameters = Object.fromEntries(
  Object.entries(layout.entries).map(([name, { offset, shape }]) => [
    name,
    float32(shape, vectors.parameters.data.slice(offset, offset + sizeOf(shape)) as Float32Array),
  ]),
);
const predict = await compile(
  ({ x, c }) => network.apply(nn.parameterScope(), "", x, c),
  { x: spec("float32", ["n", 2]), c: spec("float32", ["n"]) },
  { parameters },
);
const denoise = diffusion.denoiserOf(
  async (x, cNoise) =>
    (await predict({
      x,
      c: float32([POINTS], new Float32Array(POINTS).fill(cNoise)),
    })) as Tensor<"float32">,
  edm,
);
const sigmas = diffusion.karrasSigmas(24, { sigmaMin: 0.01, sigmaMax: 10 });
const noise = random.normal([POINTS, 2], 0, sigmas[0]);
let sample = noise;
for await (const { x } of diffusion.heun({ denoise, x: noise, sigmas })) sample = x;
await predict.dispose();

console.log(
  `${drawPoints(sample.data, 1.7)}\n${POINTS} points drawn from noise in ${sigmas.length - 1} steps.`,
);
