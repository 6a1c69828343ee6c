/** A ControlNet as the pipelines use it. */
import type { Component } from "../../checkpoints/layouts/component.ts";
import { multiplyDims, symbol } from "../../graph/dim.ts";
import type { Sym } from "../../graph/primitives.ts";
import { type InputSpec, spec } from "../../graph/trace.ts";
import {
  controlNet,
  type ControlNetConfig,
  controlStates,
  readControlNetConfig,
  stateChannels,
} from "../../models/controlnet.ts";
import { parameterScope } from "../../nn/scopes.ts";
import { compile } from "../../runtime/compile.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { renewable } from "./renewable.ts";
import { levelSizes, timeIdCount, type UnetCall, type UnetOptions } from "./unet.ts";
import { bindWeights, type RuntimeOptions, sessionOptions } from "./weights.ts";

type F32 = Tensor<"float32">;

/** What a ControlNet is run on. */
export interface ControlCall extends Pick<
  UnetCall,
  "sample" | "timestep" | "context" | "textEmbeds" | "timeIds"
> {
  /** The picture in [0, 1], [B, C, 8·H, 8·W]. */
  readonly hint: F32;
  /** Factor of each residual, the middle's last. */
  readonly scales: F32;
}

/** Residuals for the U-Net. */
export type Residuals = NonNullable<UnetCall["control"]>;

/** A ControlNet. */
export interface ControlNetwork {
  readonly config: ControlNetConfig;
  /** Residuals beside the middle's. */
  readonly states: number;
  run(call: ControlCall): Promise<Residuals>;
  release(): Promise<void>;
}

/** The ControlNet of a component. */
export function controlNetwork(
  component: Component,
  options: RuntimeOptions & Pick<UnetOptions, "pooledWidth">,
): ControlNetwork {
  const { pooledWidth = 1280 } = options;
  const config = readControlNetConfig(component.config);
  const net = controlNet(config);
  const states = controlStates(config);
  const pixels = 2 ** (config.conditioningEmbeddingOutChannels.length - 1);
  const context = config.encoderHidDim ?? [config.crossAttentionDim].flat()[0];
  const isSdxl = config.additionEmbedType === "text_time";
  const specs: Readonly<Record<string, InputSpec>> = {
    sample: spec("float32", ["batch", config.inChannels, "height", "width"]),
    timestep: spec("float32", ["batch"]),
    context: spec("float32", ["batch", "tokens", context]),
    hint: spec("float32", [
      "batch",
      config.conditioningChannels,
      multiplyDims(pixels, symbol("height")),
      multiplyDims(pixels, symbol("width")),
    ]),
    scales: spec("float32", [states + 1]),
    ...(isSdxl && {
      textEmbeds: spec("float32", ["batch", pooledWidth]),
      timeIds: spec("float32", ["batch", timeIdCount(config, pooledWidth)]),
    }),
  };
  const sessions = renewable<null, { dispose(): Promise<void>; run(i: object): Promise<unknown> }>(
    async () => {
      const weights = await bindWeights(component, Object.keys(net.parameters), options);
      const run = await compile(
        ({ context: encoderHiddenStates, ...inputs }: Record<string, Sym>) =>
          net.apply(parameterScope(), "", { ...inputs, encoderHiddenStates } as never),
        specs,
        { ...sessionOptions(options), ...weights },
      );
      return { dispose: () => run.dispose(), run: (inputs) => run(inputs as never) };
    },
    (old) => old,
  );
  return {
    config,
    states,
    async run({ timestep, ...call }) {
      const session = await sessions.get(null);
      const [batch] = call.sample.shape;
      const at = { dtype: "float32", shape: [batch], data: new Float32Array(batch).fill(timestep) };
      const given: Record<string, unknown> = { ...call, timestep: at };
      if (!isSdxl) for (const name of ["textEmbeds", "timeIds"]) delete given[name];
      const { down, mid } = (await session.run(given)) as Residuals;
      if (!config.globalPoolConditions) return { down, mid };
      const sizes = levelSizes(config.blockOutChannels.length, ...latentSize(call.sample));
      const found = stateChannels(config.blockOutChannels, config.layersPerBlock);
      const spread = (mean: F32, level: number): F32 =>
        spreadOver(mean, sizes[level] as readonly [number, number]);
      return {
        down: down.map((mean, i) => spread(mean, found[i].level)),
        mid: spread(mid, sizes.length - 1),
      };
    },
    release: () => sessions.release(),
  };
}

function latentSize({ shape }: F32): [height: number, width: number] {
  return [shape[2], shape[3]];
}

/** Means [B, C, 1, 1] over a size. */
function spreadOver(
  { shape: [batch, channels], data }: F32,
  [height, width]: readonly [number, number],
): F32 {
  const plane = height * width;
  const spread = Float32Array.from(
    { length: data.length * plane },
    (_, i) => data[Math.floor(i / plane)],
  );
  return { dtype: "float32", shape: [batch, channels, height, width], data: spread };
}
