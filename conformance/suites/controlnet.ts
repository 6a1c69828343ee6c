/** ControlNets against diffusers: residuals, guess mode, and the U-Net that adds them. */
import {
  controlNet,
  controlStates,
  guessModeScales,
  readControlNetConfig,
  readUnet2dConditionConfig,
  unet2dCondition,
} from "nijimi/models";
import { constant, type Sym } from "nijimi/graph";
import { float32 } from "nijimi/tensor";
import type { Suite } from "../case.ts";
import { runLayer } from "./run-layer.ts";
import { conditionsOf } from "./unet-inputs.ts";

type Config = Readonly<Record<string, unknown>>;

const states = (name: string, { down, mid }: { down: readonly Sym[]; mid: Sym }) => ({
  ...Object.fromEntries(down.map((state, i) => [`down${name}.${i}`, state])),
  [`mid${name}`]: mid,
});

export const suite: Suite = {
  kind: "controlnet",
  accepts: (c) => c.json.function === "diffusers.ControlNetModel, UNet2DConditionModel",
  run: (c, { device }) => {
    const config = readControlNetConfig(c.json.config?.["controlnet"] as Config);
    const control = controlNet(config);
    const unet = unet2dCondition(readUnet2dConditionConfig(c.json.config?.["unet"] as Config));
    const count = controlStates(config);
    const scale = Number(c.json.config?.["conditioning_scale"] ?? 1);
    const scalesOf = (factors: Float32Array): Sym =>
      constant(
        float32(
          [count + 1],
          factors.map((factor) => factor * scale),
        ),
      );
    const uniform = scalesOf(new Float32Array(count + 1).fill(1));
    // As published: pooled residuals are not weighed by depth.
    const guess = config.globalPoolConditions ? uniform : scalesOf(guessModeScales(count));
    return runLayer(c, {
      device,
      forward: (given, scope) => {
        const inputs = {
          sample: given["x"],
          timestep: given["t"],
          ...conditionsOf(given),
        };
        const hint = given["controlnet_cond"];
        const residuals = control.apply(scope, "controlnet", {
          ...inputs,
          hint,
          scales: uniform,
        });
        const guessed = control.apply(scope, "controlnet", { ...inputs, hint, scales: guess });
        return {
          ...states("", residuals),
          ...states("_guess_mode", guessed),
          unet_sample: unet.apply(scope, "unet", {
            ...inputs,
            downResiduals: residuals.down,
            midResidual: residuals.mid,
          }),
          unet_sample_without: unet.apply(scope, "unet", inputs),
        };
      },
    });
  },
};
