/**
 * PNDM: Liu et al. 2022, "Pseudo Numerical Methods for Diffusion Models on Manifolds"
 * (arXiv:2202.09778): Adams–Bashforth on ε with DDIM's transfer, started by pseudo Runge–Kutta
 * steps (the paper's F-PNDM) or, cheaper, by one improved Euler step and lower orders (PLMS of LDM
 * and Stable Diffusion).
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { NijimiError } from "../../errors.ts";
import { combine, epsOf, type Term, transfer } from "./arithmetic.ts";
import { targetLevels } from "./ddim.ts";
import { ADAMS_BASHFORTH } from "./ipndm.ts";
import { beginLoop, checkChoice, type Loop } from "./loop.ts";
import { geometricMean } from "./ode.ts";
import type { Level } from "./space.ts";
import type { Prediction, SamplerInput, SamplerRun } from "./types.ts";

type F32 = Tensor<"float32">;

/** Options of {@link pndm}. */
export interface PndmOptions {
  /**
   * How the first answers are gathered: three Runge–Kutta steps of four evaluations, or one
   * improved Euler step. @default "plms"
   */
  readonly warmup?: "plms" | "runge-kutta";
  /**
   * What is extrapolated. diffusers takes the network's own output, so v for networks that predict
   * v. @default "eps"
   */
  readonly extrapolate?: "eps" | "v";
  /**
   * Level each step goes to, where that is not the level the next one starts from. @default
   * sigmas[i + 1]
   */
  readonly targets?: ArrayLike<number>;
  /** Level the improved Euler step is repeated from. @default sigmas[firstStep] */
  readonly repeatFrom?: number;
  /** Level at which the improved Euler step asks again, and which it reaches. @default sigmas[firstStep + 1] */
  readonly repeatAt?: number;
  /** Levels in the middle of the Runge–Kutta steps. @default the geometric means of sigma */
  readonly middles?: readonly PndmMiddle[];
}

/**
 * The middle of a Runge–Kutta step: discrete timesteps may have none, so that two levels do its
 * work.
 */
export interface PndmMiddle {
  /** Sigma the first stage goes to. */
  readonly reach: number;
  /** Sigma at which the second and third stage are evaluated, and to which the second goes. */
  readonly evaluate: number;
}

/**
 * PNDM/PLMS. Order 2 in practice: an ε of fourth order in a first-order transfer. One evaluation a
 * step after the warm-up, which takes one evaluation more (PLMS) or nine (Runge–Kutta);
 * deterministic.
 */
export async function* pndm(input: SamplerInput & PndmOptions): SamplerRun {
  const { warmup = "plms", extrapolate = "eps" } = input;
  checkChoice("pndm", "warmup", warmup, ["plms", "runge-kutta"]);
  checkChoice("pndm", "extrapolate", extrapolate, ["eps", "v"]);
  const loop = beginLoop("pndm", input);
  // pure noise has no slope: the first step from it is DDIM's, and the warm-up comes after
  const begin = loop.first + (loop.levels[loop.first].alpha === 0 ? 1 : 0);
  const stepsToDo = loop.steps - begin;
  if (warmup === "runge-kutta" && stepsToDo < 4)
    throw new NijimiError(
      "option",
      `pndm: the Runge–Kutta warm-up needs at least 4 steps; got ${stepsToDo}.`,
    );
  const target = targetLevels("pndm", input.targets, loop.levels, loop.level);
  const pseudo = pseudoMethod(loop, extrapolate);
  let history: readonly F32[] = []; // latest first
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const done = step - begin;
    const from = loop.levels[step];
    if (done < 0) {
      const { denoised } = await loop.evaluate(x, from, step);
      x = transfer(x, denoised, from, loop.levels[step + 1]);
      yield loop.finished(step, x, denoised);
      continue;
    }
    const here = await pseudo.answer(x, from, step);
    history = [here.slope, ...history].slice(0, 4);
    let to = target(step);
    if (warmup === "runge-kutta" && done < 3) {
      to = loop.levels[step + 1];
      const sigma = geometricMean(from, to);
      const { reach, evaluate } = input.middles?.[done] ?? { reach: sigma, evaluate: sigma };
      const middle = { reach: loop.level(reach), evaluate: loop.level(evaluate) };
      x = await rungeKuttaStep(pseudo, x, here.slope, from, to, middle, step);
    } else if (warmup === "plms" && done === 0 && (stepsToDo > 1 || input.repeatAt !== undefined)) {
      const again =
        input.repeatAt === undefined ? loop.levels[step + 1] : loop.level(input.repeatAt);
      const there = await pseudo.answer(pseudo.transfer(x, here.slope, from, to), again, step);
      const start = input.repeatFrom === undefined ? from : loop.level(input.repeatFrom);
      to = again;
      x = pseudo.transfer(x, combine([0.5, here.slope], [0.5, there.slope]), start, to);
    } else
      x = pseudo.transfer(
        x,
        combine(...history.map((e, k): Term => [ADAMS_BASHFORTH[history.length][k], e])),
        from,
        to,
      );
    yield { ...loop.finished(step, x, here.denoised), sigma: to.sigma };
  }
}

interface PseudoMethod {
  /** ε or v at a state. */
  answer(x: F32, at: Level, step: number): Promise<{ readonly slope: F32; readonly denoised: F32 }>;
  /** DDIM's step with ε = slope, or with the ε that v = slope means at x. */
  transfer(x: F32, slope: F32, from: Level, to: Level): F32;
}

function pseudoMethod(loop: Loop, extrapolate: "eps" | "v"): PseudoMethod {
  // v = αε − σ_t·x0 and ε = αv + σ_t·x (Salimans & Ho 2022, arXiv:2202.00512, in `vp`)
  const slopeOf = (x: F32, prediction: Prediction, at: Level) => {
    const eps = epsOf(x, prediction, at);
    return extrapolate === "eps" ? eps : combine([at.alpha, eps], [-at.std, prediction.denoised]);
  };
  return {
    async answer(x, at, step) {
      const prediction = await loop.evaluate(x, at, step);
      return { slope: slopeOf(x, prediction, at), denoised: prediction.denoised };
    },
    transfer(x, slope, from, to) {
      const keep = to.alpha / from.alpha;
      const move = to.std - keep * from.std;
      return extrapolate === "eps"
        ? combine([keep, x], [move, slope])
        : combine([keep + move * from.std, x], [move * from.alpha, slope]);
    },
  };
}

/**
 * The classical fourth-order step, x' from (e1 + 2·e2 + 2·e3 + e4)/6, each stage reached by a
 * transfer from x.
 */
async function rungeKuttaStep(
  { answer, transfer: reachFrom }: PseudoMethod,
  x: F32,
  e1: F32,
  from: Level,
  to: Level,
  { reach, evaluate }: { readonly reach: Level; readonly evaluate: Level },
  step: number,
): Promise<F32> {
  const { slope: e2 } = await answer(reachFrom(x, e1, from, reach), evaluate, step);
  const { slope: e3 } = await answer(reachFrom(x, e2, from, evaluate), evaluate, step);
  const { slope: e4 } = await answer(reachFrom(x, e3, from, to), to, step);
  return reachFrom(x, combine([1 / 6, e1], [1 / 3, e2], [1 / 3, e3], [1 / 6, e4]), from, to);
}
