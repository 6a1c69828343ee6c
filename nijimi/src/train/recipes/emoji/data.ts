/** The emoji pictures: 128×128, transparent, with captions; see docs/recipes/emoji-data.md for how to make the shards. */
import type { DatasetSpec } from "../../../data/open-dataset.ts";
import { NijimiError } from "../../../errors.ts";
import { withheldKeys } from "./split.ts";

/** Pictures that training may see, and the withheld ones. */
export function emojiData(files: string): {
  readonly training: DatasetSpec;
  readonly withheld: DatasetSpec;
  readonly all: DatasetSpec;
} {
  if (files === "")
    throw new NijimiError(
      "option",
      'This recipe needs the emoji shards: --set data=PATH/noto-emoji-128.tar.gz. "docs/recipes/emoji-data.md" says how they are made.',
    );
  const all = { kind: "webdataset", files } as const;
  const keys = withheldKeys();
  return { training: { ...all, exclude: keys }, withheld: { ...all, only: keys }, all };
}
