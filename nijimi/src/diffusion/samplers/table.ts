/**
 * Every sampler that runs on a denoiser and a list of levels, with its properties and its names
 * elsewhere. `order` is that of the ODE solver: the error of the endpoint of the probability-flow
 * ODE falls like n^−order (without noise, before the last step to σ = 0); the theory tests measure
 * it.
 */
import type { SigmaScheduleName } from "../schedules/sigma-schedules.ts";
import { annealedLangevin } from "./annealed-langevin.ts";
import { ddimCfgPlusPlus, eulerCfgPlusPlus } from "./cfg-plus-plus.ts";
import { consistency } from "./consistency.ts";
import { ddim } from "./ddim.ts";
import { ddpm } from "./ddpm.ts";
import { deis } from "./deis.ts";
import { dpm2 } from "./dpm2.ts";
import { dpm2Ancestral } from "./dpm2-ancestral.ts";
import { dpmAdaptive } from "./dpm-adaptive.ts";
import { dpmFast } from "./dpm-fast.ts";
import { dpmSolverMultistep } from "./dpm-solver-multistep.ts";
import { dpmSolverSinglestep } from "./dpm-solver-singlestep.ts";
import { dpmpp2m } from "./dpmpp-2m.ts";
import { dpmpp2mSde } from "./dpmpp-2m-sde.ts";
import { dpmpp2sAncestral } from "./dpmpp-2s-ancestral.ts";
import { dpmpp3mSde } from "./dpmpp-3m-sde.ts";
import { dpmppSde } from "./dpmpp-sde.ts";
import { euler } from "./euler.ts";
import { eulerAncestral } from "./euler-ancestral.ts";
import { flowEuler } from "./flow-euler.ts";
import { flowHeun } from "./flow-heun.ts";
import { heun } from "./heun.ts";
import { ipndm } from "./ipndm.ts";
import { lcm } from "./lcm.ts";
import { lms } from "./lms.ts";
import { pndm } from "./pndm.ts";
import { restart } from "./restart.ts";
import { saSolver } from "./sa-solver.ts";
import { tcd } from "./tcd.ts";
import type { SamplerInput, SamplerRun, Space } from "./types.ts";
import { unipc } from "./unipc.ts";

/** What is known of a sampler. */
export interface SamplerEntry {
  /** The sampler with the options that the name stands for. */
  readonly run: (input: SamplerInput) => SamplerRun;
  /**
   * Order of the deterministic solver; undefined where nothing is solved (distilled networks,
   * Langevin dynamics).
   */
  readonly order?: number;
  /** Evaluations of the denoiser per step; undefined where the sampler decides. */
  readonly evaluations: number | undefined;
  /**
   * Kind of noise that `run` wants: none, a stream, or (draws over overlapping intervals, any step
   * size) a Brownian path.
   */
  readonly noise: "none" | "stream" | "brownian";
  /** What the network or denoiser must be, where any will not do. */
  readonly needs?:
    | "consistency-network"
    | "trajectory-network"
    | "unconditional-eps"
    | "levels-above-0";
  /** Spaces it runs in. @default all */
  readonly spaces?: readonly Space[];
  /** The schedule that a foreign name brings along. */
  readonly schedule?: SigmaScheduleName;
  /** Class in diffusers that does the same with the right options. */
  readonly diffusers?: string;
  /** Names in A1111's user interface, without their schedule. */
  readonly a1111?: readonly string[];
  /** `sampler_name`s in ComfyUI. */
  readonly comfyui?: readonly string[];
  /** Function in k-diffusion. */
  readonly kDiffusion?: string;
}

/** The samplers by our names. */
export const SAMPLERS = {
  euler: {
    run: (input) => euler(input),
    order: 1,
    evaluations: 1,
    noise: "none",
    diffusers: "EulerDiscreteScheduler",
    a1111: ["Euler"],
    comfyui: ["euler"],
    kDiffusion: "sample_euler",
  },
  "euler-ancestral": {
    run: (input) => eulerAncestral(input),
    order: 1,
    evaluations: 1,
    noise: "stream",
    diffusers: "EulerAncestralDiscreteScheduler",
    a1111: ["Euler a"],
    comfyui: ["euler_ancestral"],
    kDiffusion: "sample_euler_ancestral",
  },
  heun: {
    run: (input) => heun(input),
    order: 2,
    evaluations: 2,
    noise: "none",
    diffusers: "HeunDiscreteScheduler",
    a1111: ["Heun"],
    comfyui: ["heun"],
    kDiffusion: "sample_heun",
  },
  "edm-stochastic": {
    run: (input) => heun({ sChurn: 40, sTmin: 0.05, sTmax: 50, sNoise: 1.003, ...input }),
    order: 2,
    evaluations: 2,
    noise: "stream",
    spaces: ["ve", "vp"],
  },
  dpm2: {
    run: (input) => dpm2(input),
    order: 2,
    evaluations: 2,
    noise: "none",
    diffusers: "KDPM2DiscreteScheduler",
    a1111: ["DPM2"],
    comfyui: ["dpm_2"],
    kDiffusion: "sample_dpm_2",
  },
  "dpm2-ancestral": {
    run: (input) => dpm2Ancestral(input),
    order: 2,
    evaluations: 2,
    noise: "stream",
    diffusers: "KDPM2AncestralDiscreteScheduler",
    a1111: ["DPM2 a"],
    comfyui: ["dpm_2_ancestral"],
    kDiffusion: "sample_dpm_2_ancestral",
  },
  lms: {
    run: (input) => lms(input),
    order: 2,
    evaluations: 1,
    noise: "none",
    diffusers: "LMSDiscreteScheduler",
    a1111: ["LMS"],
    comfyui: ["lms"],
    kDiffusion: "sample_lms",
  },
  "dpm-fast": {
    run: (input) => dpmFast(input),
    order: 3,
    evaluations: undefined,
    noise: "none",
    a1111: ["DPM fast"],
    comfyui: ["dpm_fast"],
    kDiffusion: "sample_dpm_fast",
  },
  "dpm-adaptive": {
    run: (input) => dpmAdaptive(input),
    order: 3,
    evaluations: undefined,
    noise: "none",
    a1111: ["DPM adaptive"],
    comfyui: ["dpm_adaptive"],
    kDiffusion: "sample_dpm_adaptive",
  },
  "dpmpp-2s-ancestral": {
    run: (input) => dpmpp2sAncestral(input),
    order: 2,
    evaluations: 2,
    noise: "stream",
    a1111: ["DPM++ 2S a"],
    comfyui: ["dpmpp_2s_ancestral"],
    kDiffusion: "sample_dpmpp_2s_ancestral",
  },
  "dpmpp-sde": {
    run: (input) => dpmppSde(input),
    order: 2,
    evaluations: 2,
    noise: "brownian",
    diffusers: "DPMSolverSDEScheduler",
    a1111: ["DPM++ SDE"],
    comfyui: ["dpmpp_sde", "dpmpp_sde_gpu"],
    kDiffusion: "sample_dpmpp_sde",
  },
  "dpmpp-2m": {
    run: (input) => dpmpp2m(input),
    order: 2,
    evaluations: 1,
    noise: "none",
    diffusers: "DPMSolverMultistepScheduler",
    a1111: ["DPM++ 2M"],
    comfyui: ["dpmpp_2m"],
    kDiffusion: "sample_dpmpp_2m",
  },
  "dpmpp-2m-sde": {
    run: (input) => dpmpp2mSde(input),
    order: 2,
    evaluations: 1,
    noise: "brownian",
    a1111: ["DPM++ 2M SDE"],
    comfyui: ["dpmpp_2m_sde", "dpmpp_2m_sde_gpu"],
    kDiffusion: "sample_dpmpp_2m_sde",
  },
  "dpmpp-2m-sde-heun": {
    run: (input) => dpmpp2mSde({ ...input, solverType: "heun" }),
    order: 2,
    evaluations: 1,
    noise: "brownian",
    a1111: ["DPM++ 2M SDE Heun"],
    comfyui: ["dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun_gpu"],
  },
  "dpmpp-3m": {
    run: (input) => dpmSolverMultistep({ ...input, order: 3 }),
    order: 2,
    evaluations: 1,
    noise: "none",
  },
  "dpmpp-3m-sde": {
    run: (input) => dpmpp3mSde(input),
    order: 2,
    evaluations: 1,
    noise: "brownian",
    a1111: ["DPM++ 3M SDE"],
    comfyui: ["dpmpp_3m_sde", "dpmpp_3m_sde_gpu"],
    kDiffusion: "sample_dpmpp_3m_sde",
  },
  "dpmpp-1s": {
    run: (input) => dpmSolverSinglestep({ ...input, order: 1 }),
    order: 1,
    evaluations: 1,
    noise: "none",
  },
  "dpmpp-2s": {
    run: (input) => dpmSolverSinglestep({ ...input, order: 2 }),
    order: 2,
    evaluations: 1,
    noise: "none",
    diffusers: "DPMSolverSinglestepScheduler",
  },
  "dpmpp-3s": {
    run: (input) => dpmSolverSinglestep({ ...input, order: 3, solverType: "heun" }),
    order: 3,
    evaluations: 1,
    noise: "none",
  },
  ddim: {
    run: (input) => ddim(input),
    order: 1,
    evaluations: 1,
    noise: "none",
    schedule: "ddim-uniform",
    diffusers: "DDIMScheduler",
    a1111: ["DDIM"],
    comfyui: ["ddim"],
  },
  ddpm: {
    run: (input) => ddpm(input),
    evaluations: 1,
    noise: "stream",
    diffusers: "DDPMScheduler",
    comfyui: ["ddpm"],
  },
  pndm: {
    run: (input) => pndm(input),
    order: 2,
    evaluations: 1,
    noise: "none",
    diffusers: "PNDMScheduler",
    a1111: ["PLMS"],
  },
  ipndm: {
    run: (input) => ipndm(input),
    order: 2,
    evaluations: 1,
    noise: "none",
    diffusers: "IPNDMScheduler",
    comfyui: ["ipndm"],
  },
  deis: {
    run: (input) => deis({ ...input, order: 3 }),
    order: 2,
    evaluations: 1,
    noise: "none",
    diffusers: "DEISMultistepScheduler",
    comfyui: ["deis"],
  },
  "unipc-bh1": {
    run: (input) => unipc({ ...input, order: 3, variant: "bh1" }),
    order: 3,
    evaluations: 1,
    noise: "none",
    a1111: ["UniPC"],
    comfyui: ["uni_pc"],
  },
  "unipc-bh2": {
    run: (input) => unipc({ ...input, order: 2, variant: "bh2" }),
    order: 3,
    evaluations: 1,
    noise: "none",
    diffusers: "UniPCMultistepScheduler",
    comfyui: ["uni_pc_bh2"],
  },
  "sa-solver": {
    run: (input) => saSolver(input),
    order: 2,
    evaluations: 1,
    noise: "stream",
    diffusers: "SASolverScheduler",
    comfyui: ["sa_solver"],
  },
  restart: {
    run: (input) => restart(input),
    order: 2,
    evaluations: 2,
    noise: "stream",
    spaces: ["ve", "vp"],
    a1111: ["Restart"],
  },
  lcm: {
    run: (input) => lcm(input),
    evaluations: 1,
    noise: "stream",
    needs: "consistency-network",
    diffusers: "LCMScheduler",
    a1111: ["LCM"],
    comfyui: ["lcm"],
  },
  tcd: {
    run: (input) => tcd(input),
    evaluations: 1,
    noise: "stream",
    needs: "trajectory-network",
    spaces: ["ve", "vp"],
    diffusers: "TCDScheduler",
  },
  consistency: {
    run: (input) => consistency(input),
    evaluations: 1,
    noise: "stream",
    needs: "consistency-network",
    spaces: ["ve"],
    diffusers: "CMStochasticIterativeScheduler",
  },
  "ddim-cfg-plus-plus": {
    run: (input) => ddimCfgPlusPlus(input),
    order: 1,
    evaluations: 1,
    noise: "none",
    needs: "unconditional-eps",
    a1111: ["DDIM CFG++"],
  },
  "euler-cfg-plus-plus": {
    run: (input) => eulerCfgPlusPlus(input),
    order: 1,
    evaluations: 1,
    noise: "none",
    needs: "unconditional-eps",
    comfyui: ["euler_cfg_pp"],
  },
  "euler-ancestral-cfg-plus-plus": {
    run: (input) => eulerCfgPlusPlus({ eta: 1, ...input }),
    order: 1,
    evaluations: 1,
    noise: "stream",
    needs: "unconditional-eps",
    comfyui: ["euler_ancestral_cfg_pp"],
  },
  "flow-euler": {
    run: (input) => flowEuler(input),
    order: 1,
    evaluations: 1,
    noise: "none",
    spaces: ["flow"],
    diffusers: "FlowMatchEulerDiscreteScheduler",
  },
  "flow-heun": {
    run: (input) => flowHeun(input),
    order: 2,
    evaluations: 2,
    noise: "none",
    spaces: ["flow"],
    diffusers: "FlowMatchHeunDiscreteScheduler",
  },
  "annealed-langevin": {
    run: (input) => annealedLangevin({ stepsPerLevel: 5, ...input }),
    evaluations: 5,
    noise: "stream",
    needs: "levels-above-0",
    spaces: ["ve"],
  },
} as const satisfies Record<string, SamplerEntry>;

/** Our name of a sampler. */
export type SamplerName = keyof typeof SAMPLERS;
