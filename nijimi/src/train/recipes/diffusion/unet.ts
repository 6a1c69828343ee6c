/** The U-Net for a kind of condition, under diffusers' names. */
import type { SavedComponent } from "../../../checkpoints/save-folder.ts";
import type { Sym } from "../../../graph/primitives.ts";
import { UNET_2D_DEFAULTS, unet2d, type Unet2dConfig } from "../../../models/unet-2d.ts";
import {
  UNET_2D_CONDITION_DEFAULTS,
  unet2dCondition,
  type Unet2dConditionConfig,
} from "../../../models/unet-2d-condition.ts";
import type { ParameterSpec, Scope } from "../../../nn/layer.ts";
import { configJson } from "../config-json.ts";
import type { Condition, ConditionInputs } from "./condition.ts";
import type { UnetSettings } from "./settings.ts";

/** A U-Net as training sees it. */
export interface TrainedUnet {
  readonly parameters: Readonly<Record<string, ParameterSpec>>;
  apply(scope: Scope, sample: Sym, timestep: Sym, condition: ConditionInputs): Sym;
  /** Class and config. */
  component(sampleSize: number): Pick<SavedComponent, "library" | "className" | "config">;
}

/** With text the U-Net attends to it; otherwise its attention is among pixels. */
export function makeUnet(
  settings: UnetSettings,
  dataChannels: number,
  condition: Pick<Condition, "textWidth" | "classRows">,
): TrainedUnet {
  const attends = settings.channels.map((_, level) => settings.attentionLevels.includes(level));
  const shared = {
    inChannels: dataChannels,
    outChannels: dataChannels,
    blockOutChannels: settings.channels,
    layersPerBlock: settings.layersPerBlock,
    normNumGroups: settings.normGroups,
  };
  return condition.textWidth === undefined
    ? plainUnet(settings, shared, attends, condition.classRows)
    : textUnet(settings, shared, attends, condition.textWidth);
}

type Shared = Pick<
  Unet2dConditionConfig,
  "inChannels" | "outChannels" | "blockOutChannels" | "normNumGroups"
> & { readonly layersPerBlock: number };

function textUnet(
  { heads }: UnetSettings,
  shared: Shared,
  attends: readonly boolean[],
  textWidth: number,
): TrainedUnet {
  const config = {
    ...UNET_2D_CONDITION_DEFAULTS,
    ...shared,
    downBlockTypes: attends.map((own) => (own ? "CrossAttnDownBlock2D" : "DownBlock2D")),
    upBlockTypes: attends.toReversed().map((own) => (own ? "CrossAttnUpBlock2D" : "UpBlock2D")),
    attentionHeadDim: heads, // diffusers' name for the number of heads
    crossAttentionDim: textWidth,
  } satisfies Unet2dConditionConfig;
  const net = unet2dCondition(config);
  return {
    parameters: net.parameters,
    apply: (scope, sample, timestep, { encoderHiddenStates }) =>
      net.apply(scope, "", { sample, timestep, encoderHiddenStates: encoderHiddenStates as Sym }),
    component: (sampleSize) => ({
      library: "diffusers",
      className: "UNet2DConditionModel",
      config: { sample_size: sampleSize, ...configJson(config) },
    }),
  };
}

function plainUnet(
  { channels, heads }: UnetSettings,
  shared: Shared,
  attends: readonly boolean[],
  classRows: number | undefined,
): TrainedUnet {
  const config = {
    ...UNET_2D_DEFAULTS,
    ...shared,
    downBlockTypes: attends.map((own) => (own ? "AttnDownBlock2D" : "DownBlock2D")),
    upBlockTypes: attends.toReversed().map((own) => (own ? "AttnUpBlock2D" : "UpBlock2D")),
    attentionHeadDim: Math.floor(channels[channels.length - 1] / heads),
    numClassEmbeds: classRows ?? null,
  } satisfies Unet2dConfig;
  const net = unet2d(config);
  return {
    parameters: net.parameters,
    apply: (scope, sample, timestep, { classLabels }) =>
      net.apply(scope, "", { sample, timestep, ...(classLabels && { classLabels }) }),
    component: (sampleSize) => ({
      library: "diffusers",
      className: "UNet2DModel",
      config: { sample_size: sampleSize, ...configJson(config) },
    }),
  };
}
