/** LAION's aesthetic scores of CLIP embeddings, with heads from files. */
import type { SourceInput } from "../../checkpoints/files/open-source.ts";
import { NijimiError } from "../../errors.ts";
import { spec } from "../../graph/trace.ts";
import { aestheticHead, aestheticHeadConfig, unitEmbedding } from "../../models/aesthetic-head.ts";
import { parameterScope } from "../../nn/scopes.ts";
import { compile } from "../../runtime/compile.ts";
import type { SessionOptions } from "../../runtime/session.ts";
import { cast, toFloat64 } from "../../tensor/convert.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { KNOWN_WEIGHTS } from "./known-weights.ts";
import { readWeightsFile } from "./weights-file.ts";

/** A head with its weights. */
export interface AestheticScorer {
  readonly name: string;
  /** Length of the embeddings it takes: 512 for ViT-B/32, 768 for ViT-L/14. */
  readonly dimensions: number;
  /** Score of each image embedding [N, D], which is normalised first. */
  score(embeddings: Tensor): Promise<Float64Array>;
  dispose(): Promise<void>;
}

/**
 * Opens a head.
 *
 * @throws NijimiError `checkpoint` when the file is no aesthetic head
 * @example
 * const head = await openAestheticHead("sac+logos+ava1-l14-linearMSE.pth");
 * const scores = await head.score((await clip.embed(pictures)).features);
 */
export async function openAestheticHead(
  input: SourceInput,
  options: SessionOptions = {},
): Promise<AestheticScorer> {
  const { name, sha256, tensors } = await readWeightsFile(input);
  const config = aestheticHeadConfig(tensors);
  const [dimensions] = config.widths;
  const run = await compile(
    ({ x }) => aestheticHead(config).apply(parameterScope(), "", unitEmbedding(x)),
    { x: spec("float32", ["batch", dimensions]) },
    { ...options, parameters: tensors },
  );
  const known = Object.entries(KNOWN_WEIGHTS).find(([, weights]) => weights.sha256 === sha256)?.[0];
  return {
    name: known ?? `aesthetic head ${name}`,
    dimensions,
    score: async (embeddings) => {
      if (embeddings.shape[1] !== dimensions)
        throw new NijimiError(
          "shape",
          `${name} takes embeddings of ${dimensions} numbers; this CLIP gives ${embeddings.shape[1]}.`,
        );
      return toFloat64(await run({ x: cast(embeddings, "float32") }));
    },
    dispose: () => run.dispose(),
  };
}
