/** A CLIP text tower as the pipelines use it: any layer's state, words replaced by the vectors of textual inversion. */
import type { Component } from "../../checkpoints/layouts/component.ts";
import { NijimiError } from "../../errors.ts";
import { gather, select, stack, where } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { spec } from "../../graph/trace.ts";
import { clipText, clipTextWithProjection, readClipTextConfig } from "../../models/clip.ts";
import { layerNorm } from "../../nn/basic.ts";
import type { Interceptor, Scope } from "../../nn/layer.ts";
import { int64, tensor, type Tensor } from "../../tensor/tensor.ts";
import { adaptedNetwork } from "./adapted.ts";
import { type ActiveDeltas, adapterLoad } from "./low-rank.ts";
import type { RuntimeOptions } from "./weights.ts";

type F32 = Tensor<"float32">;

/** A vector in the place of a token's embedding. */
export interface Replacement {
  readonly row: number;
  readonly position: number;
  /** [width] */
  readonly vector: Float32Array;
}

/** What is encoded together. */
export interface TokenBatch {
  /** As many ids in every row. */
  readonly ids: readonly (readonly number[])[];
  readonly replacements: readonly Replacement[];
}

/** What the tower gives. */
export interface EncodedTokens {
  /** The asked layer's state [B, T, C]. */
  readonly hidden: F32;
  /** The same after the tower's last norm. */
  readonly normed: F32;
  /** The last state at the end-of-text token, after the last norm, projected where the tower has a projection: [B, E]. */
  readonly pooled: F32;
}

/** A text encoder. */
export interface TextEncoder {
  /** Width of a token's embedding. */
  readonly width: number;
  /** Ids must lie below. */
  readonly vocabularySize: number;
  readonly layers: number;
  /** Ids a row may have. */
  readonly maxLength: number;
  readonly parameters: Readonly<Record<string, unknown>>;
  /**
   * @param layersBack 0: the last layer's state, 1: the one before, …
   * @throws NijimiError `option` for a layer that is not there, `checkpoint` for ids beyond the vocabulary
   */
  encode(
    batch: TokenBatch,
    layersBack: number,
    active: readonly ActiveDeltas[],
  ): Promise<EncodedTokens>;
  release(): Promise<void>;
}

const TOKEN_EMBEDDING = "text_model.embeddings.token_embedding";

/** Replaces the output of one layer where a mask says so. */
function replacing(path: string, mask: Sym, vectors: Sym, then?: Interceptor): Interceptor {
  return (call, proceed) => {
    const output = then === undefined ? proceed(...call.args) : then(call, proceed);
    return call.path === path ? where(mask, vectors, output as Sym) : output;
  };
}

/** The text encoder of a component. */
export function textEncoder(component: Component, options: RuntimeOptions): TextEncoder {
  const config = readClipTextConfig(component.config);
  const isProjected = component.className === "CLIPTextModelWithProjection";
  const tower = isProjected ? clipTextWithProjection(config) : clipText(config);
  const finalNorm = layerNorm(config.hiddenSize, { eps: config.layerNormEps });
  const width = config.hiddenSize;

  const forward = (
    { ids, layer, mask, vectors }: Readonly<Record<"ids" | "layer" | "mask" | "vectors", Sym>>,
    scope: Scope,
  ) => {
    const intercept = replacing(TOKEN_EMBEDDING, mask, vectors, scope.intercept);
    const output = tower.apply({ ...scope, intercept }, "", { ids });
    const hidden = gather(stack(output.hiddenStates), layer, 0);
    return {
      hidden: select(hidden, 0, 0),
      normed: finalNorm.apply(scope, "text_model.final_layer_norm", select(hidden, 0, 0)),
      pooled: "embeds" in output ? (output.embeds as Sym) : output.pooled,
    };
  };
  const network = adaptedNetwork({
    ...options,
    component,
    layer: tower,
    specs: () => ({
      ids: spec("int64", ["batch", "length"]),
      layer: spec("int64", [1]),
      mask: spec("bool", ["batch", "length", 1]),
      vectors: spec("float32", ["batch", "length", width]),
    }),
    forward,
  });

  return {
    width,
    vocabularySize: config.vocabSize,
    layers: config.numHiddenLayers,
    maxLength: config.maxPositionEmbeddings,
    parameters: tower.parameters,
    async encode({ ids, replacements }, layersBack, active) {
      const layers = config.numHiddenLayers;
      if (!(Number.isInteger(layersBack) && layersBack >= 0 && layersBack <= layers))
        throw new NijimiError(
          "option",
          `Text encoder: it has ${layers} layers; clipSkip may be 1 to ${layers + 1}, got ${layersBack + 1}.`,
        );
      const largest = ids.flat().reduce((most, id) => Math.max(most, id), 0);
      if (largest >= config.vocabSize)
        throw new NijimiError(
          "checkpoint",
          `Text encoder: token ${largest} is beyond its ${config.vocabSize} tokens; the tokenizer belongs to another model.`,
        );
      const [rows, length] = [ids.length, ids[0].length];
      const mask = new Uint8Array(rows * length);
      const vectors = new Float32Array(rows * length * width);
      for (const { row, position, vector } of replacements) {
        mask[row * length + position] = 1;
        vectors.set(vector, (row * length + position) * width);
      }
      const inputs = {
        ids: int64([rows, length], ids.flat()),
        layer: int64([1], [layers - layersBack]),
        mask: tensor("bool", [rows, length, 1], mask),
        vectors: tensor("float32", [rows, length, width], vectors),
      };
      const result = await network.run([], () => inputs, adapterLoad(active, tower.parameters));
      return result as unknown as EncodedTokens;
    },
    release: () => network.release(),
  };
}
