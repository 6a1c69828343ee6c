/** Pictures on disk: complete or not at all, in folders that are made when they are not there. */
import { writeFile } from "../../checkpoints/files/files.node.ts";
import { encodeImage, formatOfName } from "../../images/codec.ts";
import type { Image } from "../../images/image.ts";
import type { MetadataTexts } from "../../images/metadata/write.ts";

/** Writes a picture; the format is its name's ending. */
export async function savePicture(
  file: string,
  image: Image,
  metadata?: MetadataTexts,
): Promise<void> {
  const bytes = await encodeImage(image, { format: formatOfName(file), metadata });
  await writeFile(file, [bytes]);
}
