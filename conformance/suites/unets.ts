/** U-Nets against diffusers: UNet2DModel and UNet2DConditionModel. */
import {
  readUnet2dConditionConfig,
  readUnet2dConfig,
  unet2d,
  unet2dCondition,
} from "nijimi/models";
import type { Suite } from "../case.ts";
import { runLayer } from "./run-layer.ts";
import { conditionsOf } from "./unet-inputs.ts";

const isConditional = (name = ""): boolean => name.endsWith(".UNet2DConditionModel");
const isUnconditional = (name = ""): boolean => name.endsWith(".UNet2DModel");

export const suite: Suite = {
  kind: "unets",
  accepts: (c) =>
    c.json.section === "models" &&
    !c.json.function?.includes(",") &&
    (isConditional(c.json.function) || isUnconditional(c.json.function)),
  run: (c, { device }) => {
    const config = c.json.config ?? {};
    if (isUnconditional(c.json.function)) {
      const net = unet2d(readUnet2dConfig(config));
      return runLayer(c, {
        device,
        forward: ({ x, t, class_labels: classLabels }, scope) => ({
          sample: net.apply(scope, "", { sample: x, timestep: t, classLabels }),
        }),
      });
    }
    const net = unet2dCondition(readUnet2dConditionConfig(config));
    return runLayer(c, {
      device,
      forward: (inputs, scope) => ({
        sample: net.apply(scope, "", {
          sample: inputs["x"],
          timestep: inputs["t"],
          ...conditionsOf(inputs),
        }),
      }),
    });
  },
};
