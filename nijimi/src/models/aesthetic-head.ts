/**
 * LAION's aesthetic predictors: small heads on CLIP image embeddings.
 *
 * Version 1 (LAION-AI/aesthetic-predictor) is one linear layer; version 2 (christophschuhmann/
 * improved-aesthetic-predictor) is five, without activations between them except in the "relu" weights. Dropout, of
 * which the gaps in the layers' numbers tell, is off.
 */
import { NijimiError } from "../errors.ts";
import { add, div, matmul, relu, sqrt, square, sum, transpose } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { torchUniform } from "../nn/initializers.ts";
import type { Layer, ParameterSpec } from "../nn/layer.ts";

/** Layers of a head. */
export interface AestheticHeadConfig {
  /** Paths of the linear layers in order: `[""]` for version 1, `["layers.0", "layers.2", …]` for version 2. */
  readonly paths: readonly string[];
  /** Sizes, from the embedding to the score: one more than there are layers. */
  readonly widths: readonly number[];
  /** ReLU between the layers. */
  readonly relu: boolean;
}

/**
 * Config from a head's weights. Layers that stand three apart have a ReLU and a dropout between them; those two
 * apart a dropout only.
 *
 * @throws NijimiError `checkpoint` when the weights are no chain of linear layers that ends in one number
 */
export function aestheticHeadConfig(
  parameters: Readonly<Record<string, { readonly shape: readonly number[] }>>,
): AestheticHeadConfig {
  const indexOf = (path: string): number => Number(/\d+$/.exec(path)?.[0] ?? 0);
  const paths = Object.keys(parameters)
    .filter((name) => /(^|\.)weight$/.test(name))
    .map((name) => name.replace(/\.?weight$/, ""))
    .sort((a, b) => indexOf(a) - indexOf(b));
  const shapes = paths.map((path) => parameters[nameIn(path, "weight")].shape);
  const chained = shapes.every(
    (shape, i) => shape.length === 2 && (i === 0 || shape[1] === shapes[i - 1][0]),
  );
  if (!chained || shapes.at(-1)?.[0] !== 1)
    throw new NijimiError(
      "checkpoint",
      `Not an aesthetic head: got ${Object.keys(parameters).slice(0, 6).join(", ")}; ` +
        "expected linear layers from a CLIP embedding to one number.",
    );
  return {
    paths,
    widths: [shapes[0][1], ...shapes.map(([outputs]) => outputs)],
    relu: paths.length > 1 && indexOf(paths[1]) - indexOf(paths[0]) >= 3,
  };
}

/**
 * The head: embeddings [N, D] → scores [N, 1], roughly from 0 to 10.
 *
 * @example
 * const head = aestheticHead(aestheticHeadConfig(parameters));
 * const score = head.apply(parameterScope(), "", unitEmbedding(imageEmbedding));
 */
export function aestheticHead({
  paths,
  widths,
  relu: active,
}: AestheticHeadConfig): Layer<readonly [Sym], Sym> {
  const parameters: Record<string, ParameterSpec> = {};
  paths.forEach((path, i) => {
    const init = torchUniform(widths[i]);
    parameters[nameIn(path, "weight")] = { shape: [widths[i + 1], widths[i]], init };
    parameters[nameIn(path, "bias")] = { shape: [widths[i + 1]], init };
  });
  return {
    kind: "aestheticHead",
    parameters,
    apply: (scope, path, embedding) =>
      paths.reduce((x, layer, i) => {
        const of = (name: string): Sym => {
          const full = nameIn(layer, name);
          return scope.parameter(path === "" ? full : `${path}.${full}`, parameters[full]);
        };
        const y = add(matmul(x, transpose(of("weight"), [1, 0])), of("bias"));
        return active && i < paths.length - 1 ? relu(y) : y;
      }, embedding),
  };
}

function nameIn(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

/** Embeddings divided by their length: what the heads were trained on. */
export function unitEmbedding(embedding: Sym): Sym {
  return div(embedding, sqrt(sum(square(embedding), { axes: [-1], keepDims: true })));
}
