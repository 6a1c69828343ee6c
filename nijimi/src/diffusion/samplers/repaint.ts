/**
 * RePaint: Lugmayr et al. 2022, "RePaint: Inpainting using Denoising Diffusion Probabilistic
 * Models" (arXiv:2201.09865), algorithm 1: the known region comes from the noised picture, the
 * unknown one from the reverse step, and jumps back up the schedule (`jumpLength` steps,
 * `jumpSamples` times) let the two agree. eta 1 is the paper's DDPM step; diffusers' default is 0.
 */
import { NijimiError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { combine } from "./arithmetic.ts";
import { addNoise } from "./churn.ts";
import { ddimStep } from "./ddim.ts";
import { beginLoop, checkRange } from "./loop.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

type F32 = Tensor<"float32">;

/** Options of {@link repaint}. */
export interface RepaintOptions {
  /** The picture whose known region is kept. Same shape as x. */
  readonly known: F32;
  /** 1 where the picture is known, 0 where it is to be filled. Same shape as x. */
  readonly mask: F32;
  /** Steps of a jump back. @default 10 */
  readonly jumpLength?: number;
  /** Times that a stretch of `jumpLength` steps is sampled. @default 10 */
  readonly jumpSamples?: number;
  /** Noise of a reverse step. @default 1 */
  readonly eta?: number;
  /** β of the forward steps that undo a step. @default one step between the levels */
  readonly undoBetas?: (step: number) => ArrayLike<number>;
}

/**
 * RePaint. One evaluation a step; stochastic. An event is a step down; jumps back happen between
 * events.
 */
export async function* repaint(input: SamplerInput & RepaintOptions): SamplerRun {
  const { known, mask, jumpLength = 10, jumpSamples = 10, eta = 1, undoBetas } = input;
  checkRange("repaint", "eta", eta, 0, 1);
  const loop = beginLoop("repaint", input, { stochastic: true });
  for (const [name, { shape, data }] of Object.entries({ known, mask }))
    if (data.length !== loop.x.data.length)
      throw new NijimiError(
        "shape",
        `repaint: ${name} must have the shape of the state, [${loop.x.shape}]; got [${shape}].`,
      );
  const moves = repaintMoves(loop.steps, jumpLength, jumpSamples);
  let { x } = loop;
  let at = 0; // index of the level that x has
  let finished = 0;
  for (const move of moves) {
    if (move === "undo") {
      at--;
      x = undoBetas
        ? diffuse(x, undoBetas(at), () => loop.noise(loop.levels[at + 1], loop.levels[at]))
        : addNoise(
            x,
            loop.levels[at + 1],
            loop.levels[at],
            loop.noise(loop.levels[at + 1], loop.levels[at]),
          );
      continue;
    }
    const [from, to] = [loop.levels[at], loop.levels[at + 1]];
    const prediction = await loop.evaluate(x, from, at);
    const noise = loop.noise(from, to);
    const unknown = ddimStep(x, prediction, from, to, eta, [1, noise]);
    x = blend(mask, combine([to.alpha, known], [to.std, noise]), unknown);
    at++;
    yield {
      step: finished++,
      steps: moves.filter((kind) => kind === "step").length,
      sigma: to.sigma,
      x,
      denoised: prediction.denoised,
    };
  }
}

/** The paper's schedule (figure 9): which steps are taken and which are undone. */
export function repaintMoves(
  steps: number,
  jumpLength: number,
  jumpSamples: number,
): ("step" | "undo")[] {
  for (const [name, value] of Object.entries({ jumpLength, jumpSamples }))
    if (!(Number.isInteger(value) && value >= 1))
      throw new NijimiError("option", `repaint: ${name} must be a whole number ≥ 1; got ${value}.`);
  const jumpsLeft = new Map<number, number>(); // by steps still to go
  for (let t = 0; t < steps - jumpLength; t += jumpLength) jumpsLeft.set(t, jumpSamples - 1);
  const moves: ("step" | "undo")[] = [];
  for (let t = steps; t >= 1;) {
    t--;
    moves.push("step");
    const left = jumpsLeft.get(t) ?? 0;
    if (left === 0) continue;
    jumpsLeft.set(t, left - 1);
    for (let k = 0; k < jumpLength; k++, t++) moves.push("undo");
  }
  return moves;
}

/** Forward steps √(1 − β)·x + √β·z. */
function diffuse(x: F32, betas: ArrayLike<number>, draw: () => F32): F32 {
  return Array.from(betas).reduce(
    (state, beta) => combine([Math.sqrt(1 - beta), state], [Math.sqrt(beta), draw()]),
    x,
  );
}

function blend({ data: mask }: F32, known: F32, unknown: F32): F32 {
  return {
    ...unknown,
    data: unknown.data.map((value, i) => mask[i] * known.data[i] + (1 - mask[i]) * value),
  };
}
