/**
 * Stable Diffusion's safety checker (CompVis; Rando et al. 2022, arXiv:2210.04610, describe what it does): cosines of
 * a picture's CLIP embedding with those of 17 concepts and 3 of special care, each against a threshold of its own.
 * Names are those of diffusers' StableDiffusionSafetyChecker.
 */
import { matmul, transpose } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { linear } from "../nn/basic.ts";
import { constantInit } from "../nn/initializers.ts";
import { type Layer, module } from "../nn/layer.ts";
import { clipVision, type ClipVisionConfig, normalise, readClipVisionConfig } from "./clip.ts";
import type { ConfigJson } from "./config.ts";

/** Concepts, and those of special care, of the released checker. */
export const SAFETY_CONCEPTS = { concepts: 17, specialCare: 3 } as const;

/** What the checker says of pictures. */
export interface SafetyScores {
  /** Cosines [N, 17], and their thresholds [17]. */
  readonly concepts: Sym;
  readonly conceptThresholds: Sym;
  /** Cosines [N, 3], and their thresholds [3]. */
  readonly specialCare: Sym;
  readonly specialCareThresholds: Sym;
}

/** A config.json of diffusers: the image tower's is inside. */
export function readSafetyCheckerConfig(json: ConfigJson): ClipVisionConfig {
  const inner = (json["vision_config"] ?? {}) as ConfigJson;
  return readClipVisionConfig({
    ...inner,
    ...(json["projection_dim"] !== undefined && { projection_dim: json["projection_dim"] }),
  });
}

/** The network: pictures normalised for CLIP [N, 3, H, W] → cosines. */
export function safetyChecker(config: ClipVisionConfig): Layer<readonly [Sym], SafetyScores> {
  const { hiddenSize, projectionDim } = config;
  const { concepts, specialCare } = SAFETY_CONCEPTS;
  const table = (...shape: readonly number[]) => ({ shape, init: constantInit(0) });
  return module(
    {
      visionModel: clipVision(config),
      visualProjection: linear(hiddenSize, projectionDim, { bias: false }),
      conceptEmbeds: table(concepts, projectionDim),
      specialCareEmbeds: table(specialCare, projectionDim),
      conceptEmbedsWeights: table(concepts),
      specialCareEmbedsWeights: table(specialCare),
    },
    (m, pictures: Sym) => {
      const embedding = normalise(m.visualProjection(m.visionModel(pictures).pooled));
      const cosines = (others: Sym): Sym => matmul(embedding, transpose(normalise(others), [1, 0]));
      return {
        concepts: cosines(m.conceptEmbeds),
        conceptThresholds: m.conceptEmbedsWeights,
        specialCare: cosines(m.specialCareEmbeds),
        specialCareThresholds: m.specialCareEmbedsWeights,
      };
    },
    { kind: "safetyChecker" },
  );
}
