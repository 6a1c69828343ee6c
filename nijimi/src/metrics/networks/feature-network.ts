/** Networks that turn pictures into vectors: what the distances between image sets are measured in. */
import type { Tensor } from "../../tensor/tensor.ts";
import type { Rgb } from "./rgb.ts";

/** Known networks whose figures have names of their own. */
export const STANDARDS = ["fid-inception", "clip-vit-b-32"] as const;
export type Standard = (typeof STANDARDS)[number];

/** What a network gives for a batch; which of it is there is the same for all batches. */
export interface NetworkOutputs {
  /** [N, D] */
  readonly features: Tensor;
  /** [N, classes], for the Inception Score. */
  readonly logits?: Tensor;
  /** [N, S], for sFID. */
  readonly spatial?: Tensor;
}

/** A network with its weights, ready to run. */
export interface FeatureNetwork {
  /** For people and file names: `"inception-v3"`, `"emoji-judge"`. */
  readonly name: string;
  /** Set when the weights are the released ones of a standard: only then a figure may have the standard's name. */
  readonly standard?: Standard;
  /** How pictures are brought to the network's size: part of the name of a figure. */
  readonly resize: string;
  /** SHA-256 of the weights' file, where they came from one. */
  readonly sha256?: string;
  /** Sizes of the outputs. */
  readonly dimensions: { readonly [K in keyof NetworkOutputs]: number };
  /** Pictures of any size → outputs in the same order. */
  embed(pictures: readonly Rgb[]): Promise<NetworkOutputs>;
  dispose(): Promise<void>;
}

/** What statistics were computed with; statistics of different networks or resizing are not comparable. */
export function describeNetwork({ name, standard, resize, sha256 }: FeatureNetwork): string {
  const weights =
    standard ?? (sha256 === undefined ? "unidentified weights" : `sha256 ${sha256.slice(0, 12)}`);
  return `${name} (${weights}), resize ${resize}`;
}

/**
 * Name of a figure measured in a network's features: the established one only for the network it stands for.
 *
 * @example
 * figureName("fid", inception); // "FID (clean)", and "FD (emoji-judge)" for another network
 */
export function figureName(
  figure: "fid" | "kid" | "is" | "sfid",
  { name, standard, resize }: Pick<FeatureNetwork, "name" | "standard" | "resize">,
): string {
  const established = { fid: "FID", kid: "KID", is: "Inception Score", sfid: "sFID" }[figure];
  const general = { fid: "FD", kid: "KD", is: "Class score", sfid: "Spatial FD" }[figure];
  if (standard === "fid-inception") return `${established} (${resize})`;
  if (standard === "clip-vit-b-32" && (figure === "fid" || figure === "kid"))
    return `CLIP-${established}`;
  return `${general} (${name})`;
}
