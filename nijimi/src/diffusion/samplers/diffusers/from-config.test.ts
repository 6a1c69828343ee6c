import { describe, expect, it } from "vitest";
import { torchGenerator } from "../../../tensor/random/torch.ts";
import { sequentialNoise } from "../../noise/sequential-noise.ts";
import { lastStep } from "../run.ts";
import { DIFFUSERS_SCHEDULERS, fromDiffusersConfig } from "./from-config.ts";

/** As in the repositories of Stable Diffusion 1.5; `clip_sample` is not an option of PNDM. */
const STABLE_DIFFUSION = {
  _class_name: "PNDMScheduler",
  _diffusers_version: "0.6.0",
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  beta_start: 0.00085,
  num_train_timesteps: 1000,
  set_alpha_to_one: false,
  skip_prk_steps: true,
  steps_offset: 1,
  trained_betas: null,
  clip_sample: false,
};

const network = ({ shape, data }: { shape: readonly number[]; data: Float32Array }) => ({
  dtype: "float32" as const,
  shape,
  data: data.map((value) => 0.3 * value),
});

describe("fromDiffusersConfig", () => {
  it("reads Stable Diffusion's config", () => {
    const plan = fromDiffusersConfig(STABLE_DIFFUSION).plan({ steps: 50 });
    expect([...plan.timesteps.slice(0, 4)]).toEqual([981, 961, 961, 941]);
    expect(plan.timesteps).toHaveLength(51);
    expect(plan.initNoiseSigma).toBe(1);
  });

  it("takes the options over to another class", () => {
    const plan = fromDiffusersConfig(STABLE_DIFFUSION, "EulerDiscreteScheduler").plan({
      steps: 20,
    });
    expect(plan.sigmas![0]).toBeCloseTo(14.6146, 3);
    expect(plan.initNoiseSigma).toBeCloseTo(14.6146, 3);
  });

  it("reads the −Infinity that diffusers writes", () => {
    for (const value of [-Infinity, "-Infinity", "-inf"])
      expect(
        fromDiffusersConfig({
          _class_name: "DPMSolverMultistepScheduler",
          lambda_min_clipped: value,
        }).options.lambda_min_clipped,
      ).toBe(-Infinity);
  });

  it.each(DIFFUSERS_SCHEDULERS)(
    "%s runs with its defaults, from the start and from the middle",
    async (name) => {
      const shifts = name === "FlowMatchEulerDiscreteScheduler";
      const scheduler = fromDiffusersConfig({ use_dynamic_shifting: shifts }, name);
      const plan = scheduler.plan({ steps: 6, mu: shifts ? 0.8 : undefined });
      const unit = torchGenerator(1).randn([1, 2, 4, 4]);
      const x = { ...unit, data: unit.data.map((value) => value * plan.initNoiseSigma) };
      const noise = sequentialNoise(torchGenerator(2));
      const { x: end } = await lastStep(plan.run({ network, x, noise }));
      expect(end.data.every(Number.isFinite)).toBe(true);
      if (name === "CMStochasticIterativeScheduler" || name === "PNDMScheduler") return;
      const middle = plan.addNoise(unit, unit, 3);
      const { x: partial } = await lastStep(plan.run({ network, x: middle, noise, firstStep: 3 }));
      expect(partial.data.every(Number.isFinite)).toBe(true);
    },
  );

  it.each([
    [{}, /Unknown diffusers scheduler ""/],
    [{ _class_name: "EulerDescreteScheduler" }, /Did you mean "EulerDiscreteScheduler"/],
    [{ _class_name: "SCMScheduler" }, /not supported/],
    [{ _class_name: "DDIMScheduler", eta_scale: 1 }, /Unknown option of DDIMScheduler "eta_scale"/],
    [
      { _class_name: "DDIMScheduler", beta_schedule: "scaled_linaer" },
      /Did you mean "scaled_linear"/,
    ],
    [{ _class_name: "DDIMScheduler", prediction_type: "eps" }, /Unknown prediction_type/],
    [{ _class_name: "DDIMScheduler", num_train_timesteps: "1000" }, /must be a number/],
    [{ _class_name: "DDIMScheduler", clip_sample: 1 }, /must be a boolean/],
    [
      { _class_name: "EulerDiscreteScheduler", use_karras_sigmas: true, use_beta_sigmas: true },
      /only one of/,
    ],
    [
      { _class_name: "DPMSolverMultistepScheduler", algorithm_type: "dpmsolver" },
      /final_sigmas_type "sigma_min"/,
    ],
    [
      { _class_name: "DPMSolverMultistepScheduler", solver_order: 4 },
      /solver_order must be 1, 2 or 3/,
    ],
  ])("refuses %j", (config, message) => {
    expect(() => fromDiffusersConfig(config)).toThrow(message);
  });

  it.each([
    [{}, /got none/],
    [{ steps: 0 }, /whole number ≥ 1/],
    [{ steps: 1.5 }, /whole number ≥ 1/],
    [{ steps: 1001 }, /more than the 1000 timesteps/],
    [{ steps: 5, timesteps: [1] }, /got steps and timesteps/],
    [{ timesteps: [1, 2] }, /must fall/],
  ])("refuses a plan of %j", (asked, message) => {
    expect(() => fromDiffusersConfig({}, "DDPMScheduler").plan(asked)).toThrow(message);
  });

  it("refuses ε-prediction where there is no signal", () => {
    const config = {
      _class_name: "DDIMScheduler",
      rescale_betas_zero_snr: true,
      timestep_spacing: "trailing",
    };
    expect(() => fromDiffusersConfig(config).plan({ steps: 5 })).toThrow(/zero SNR/);
  });
});
