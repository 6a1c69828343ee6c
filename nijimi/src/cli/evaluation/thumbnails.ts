/** Small pictures for the HTML report: one more pass over the sets, as far as the last picture that is shown. */
import { createImage, type Channels } from "../../images/image.ts";
import { encodeImage } from "../../images/codec.ts";
import { resizeImage } from "../../images/resize/resize.ts";
import { picturesOf, type Thumbnails } from "../../metrics/evaluate/report-html.ts";
import type { EvaluationReport, ImageSet, SetItem } from "../../metrics/evaluate/types.ts";

/** Longer side in pixels. */
const SIDE = 128;

/** Data URLs of all pictures that a report shows. */
export async function makeThumbnails(
  report: EvaluationReport,
  generated: ImageSet,
  reference: ImageSet | undefined,
  signal: AbortSignal,
): Promise<Thumbnails> {
  const wanted = picturesOf(report);
  return {
    generated: await thumbnailsOf(generated, wanted.generated, signal),
    reference:
      reference === undefined ? new Map() : await thumbnailsOf(reference, wanted.reference, signal),
  };
}

async function thumbnailsOf(
  set: ImageSet,
  wanted: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const made = new Map<string, string>();
  if (wanted.size === 0) return made;
  for await (const item of set.items(0)) {
    signal.throwIfAborted();
    if (wanted.has(item.key)) made.set(item.key, await thumbnail(item));
    if (made.size === wanted.size) break;
  }
  return made;
}

async function thumbnail({ image: { width, height, channels, data } }: SetItem): Promise<string> {
  const whole = createImage(width, height, channels as Channels, new Uint8Array(data));
  const scale = Math.min(1, SIDE / Math.max(width, height));
  const small = resizeImage(whole, {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  });
  return `data:image/png;base64,${Buffer.from(await encodeImage(small)).toString("base64")}`;
}
