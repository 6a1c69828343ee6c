/** The networks that figures ask for, opened from files that are there; nothing is fetched. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { NijimiError } from "../../errors.ts";
import { isThere } from "../../internal/is-there.node.ts";
import type { EvaluationNetworks, FigureName } from "../../metrics/evaluate/types.ts";
import { openAestheticHead } from "../../metrics/networks/aesthetic.ts";
import { type ClipNetwork, openClip } from "../../metrics/networks/clip.ts";
import { openClipFolder } from "../../metrics/networks/clip-folder.ts";
import type { FeatureNetwork } from "../../metrics/networks/feature-network.ts";
import { openInception } from "../../metrics/networks/inception.ts";
import { KNOWN_WEIGHTS } from "../../metrics/networks/known-weights.ts";
import { openLpips } from "../../metrics/networks/lpips.ts";
import { pixelNetwork } from "../../metrics/networks/pixels.ts";
import type { InceptionResize } from "../../models/inception-v3.ts";
import type { LpipsNet } from "../../models/lpips.ts";
import type { SessionOptions } from "../../runtime/session.ts";

/** What the command line says of networks. */
export interface NetworkChoices {
  /** Folder of fetched models. */
  readonly models: string;
  readonly network: string;
  readonly resize: InceptionResize;
  readonly clip: string;
  readonly aesthetic: string | undefined;
  readonly lpips: LpipsNet;
  readonly session: SessionOptions;
}

const TRUNKS = {
  alex: "alexnet",
  vgg: "vgg16",
  squeeze: "squeezenet1_1",
} as const satisfies Record<LpipsNet, keyof typeof KNOWN_WEIGHTS>;

/** Opens what the figures need, and nothing else. */
export async function openNetworks(
  figures: readonly FigureName[],
  choices: NetworkChoices,
): Promise<{ readonly opened: EvaluationNetworks; dispose(): Promise<void> }> {
  const { session, models } = choices;
  const wants = (...names: FigureName[]): boolean => names.some((name) => figures.includes(name));
  const made: { dispose(): Promise<void> }[] = [];
  const keep = <T extends { dispose(): Promise<void> }>(network: T): T => {
    made.push(network);
    return network;
  };
  let clip: ClipNetwork | undefined;
  const openedClip = async (): Promise<ClipNetwork> =>
    (clip ??= keep(await openClipAt(await locate(choices.clip, models), session)));
  try {
    const features = wants("fid", "sfid", "kid", "is", "prdc", "memorisation")
      ? await openFeatures(choices, openedClip, keep)
      : undefined;
    if (wants("clip-score", "r-precision", "aesthetic")) await openedClip();
    const aesthetic = wants("aesthetic")
      ? keep(
          await openAestheticHead(
            await locate(choices.aesthetic ?? headFor(clip!), models),
            session,
          ),
        )
      : undefined;
    const perceptual = wants("lpips")
      ? keep(
          await openLpips(
            choices.lpips,
            {
              layers: await locate(`lpips-${choices.lpips}`, models),
              trunk: await locate(TRUNKS[choices.lpips], models),
            },
            session,
          ),
        )
      : undefined;
    return { opened: { features, clip, aesthetic, perceptual }, dispose: () => disposeAll(made) };
  } catch (error) {
    await disposeAll(made);
    throw error;
  }
}

async function openFeatures(
  { network, resize, models, session }: NetworkChoices,
  openedClip: () => Promise<ClipNetwork>,
  keep: <T extends FeatureNetwork>(network: T) => T,
): Promise<FeatureNetwork> {
  if (network === "pixels") return pixelNetwork();
  if (network === "clip") return openedClip();
  return keep(await openInception(await locate(network, models), { resize, ...session }));
}

/** CLIP in a file, or in a folder with a vocabulary of its own. */
async function openClipAt(path: string, session: SessionOptions): Promise<ClipNetwork> {
  return (await stat(path)).isDirectory() ? openClipFolder(path, session) : openClip(path, session);
}

/** The head that was trained on this CLIP's embeddings. */
function headFor({ dimensions }: ClipNetwork): string {
  return dimensions.features === 512 ? "aesthetic-v1-vit-b-32" : "aesthetic-v2";
}

/**
 * The file of a known name, or the file that was named.
 *
 * @throws NijimiError `file` when it is not there, saying how to get it
 */
async function locate(nameOrPath: string, models: string): Promise<string> {
  const known = Object.hasOwn(KNOWN_WEIGHTS, nameOrPath)
    ? KNOWN_WEIGHTS[nameOrPath as keyof typeof KNOWN_WEIGHTS]
    : undefined;
  const path = known === undefined ? nameOrPath : join(models, known.file);
  if (await isThere(path)) return path;
  throw new NijimiError(
    "file",
    known === undefined
      ? `There are no weights at ${path}. Known names: ${Object.keys(KNOWN_WEIGHTS).join(", ")}.`
      : `The weights of ${nameOrPath} are not at ${path}. Fetch them with "nijimi models fetch ${nameOrPath}", or name a file.`,
  );
}

async function disposeAll(networks: readonly { dispose(): Promise<void> }[]): Promise<void> {
  for (const network of networks) await network.dispose();
}
