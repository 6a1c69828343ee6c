/** A T2I-Adapter as the pipelines use it: run once per picture, its features are inputs of the U-Net's session. */
import type { Component } from "../../checkpoints/layouts/component.ts";
import { multiplyDims, symbol } from "../../graph/dim.ts";
import { spec } from "../../graph/trace.ts";
import {
  readT2iAdapterConfig,
  t2iAdapter,
  type T2iAdapterConfig,
} from "../../models/t2i-adapter.ts";
import { parameterScope } from "../../nn/scopes.ts";
import { compile } from "../../runtime/compile.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { type Disposable, renewable } from "./renewable.ts";
import { bindWeights, type RuntimeOptions, sessionOptions } from "./weights.ts";

type F32 = Tensor<"float32">;

/** A T2I-Adapter. */
export interface PictureFeatures {
  readonly config: T2iAdapterConfig;
  /** Pictures [N, C, H, W] in [0, 1] → features, finest first. */
  run(picture: F32): Promise<readonly F32[]>;
  release(): Promise<void>;
}

interface Session extends Disposable {
  run(picture: F32): Promise<readonly F32[]>;
}

/** The T2I-Adapter of a component. */
export function pictureFeatures(component: Component, options: RuntimeOptions): PictureFeatures {
  const config = readT2iAdapterConfig(component.config);
  const net = t2iAdapter(config);
  const { inChannels, downscaleFactor: factor } = config;
  const side = (name: string) => multiplyDims(factor, symbol(name));
  const sessions = renewable<null, Session>(
    async () => {
      const weights = await bindWeights(component, Object.keys(net.parameters), options);
      const run = await compile(
        ({ picture }) => net.apply(parameterScope(), "", picture),
        { picture: spec("float32", ["batch", inChannels, side("rows"), side("columns")]) },
        { ...sessionOptions(options), ...weights },
      );
      return {
        dispose: () => run.dispose(),
        run: async (picture) => (await run({ picture })) as unknown as readonly F32[],
      };
    },
    (old) => old,
  );
  return {
    config,
    run: async (picture) => (await sessions.get(null)).run(picture),
    release: () => sessions.release(),
  };
}
