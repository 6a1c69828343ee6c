/** Whether the split is what it claims to be, by the captions of the data. */
import { COMPOSITIONS, WITHHELD_EMOJI, withheldKeys } from "./split.ts";

/** Fewest withheld emoji and compositions. */
const WITHHELD = 80;
const COMPOSED = 40;

/** A picture of the data. */
interface Captioned {
  readonly key: string;
  readonly caption: string;
}

/** What is wrong with the split, a sentence each: none when every word that is asked for is taught elsewhere. */
export function splitProblems(pictures: readonly Captioned[]): string[] {
  const hidden = new Set(withheldKeys());
  const captions = new Map(pictures.map(({ key, caption }) => [key, caption]));
  const taught = new Set(
    pictures.filter(({ key }) => !hidden.has(key)).flatMap(({ caption }) => wordsOf(caption)),
  );
  const known = new Set(pictures.map(({ caption }) => caption));
  const untaught = (text: string) => wordsOf(text).filter((word) => !taught.has(word));
  return [
    ...(WITHHELD_EMOJI.length < WITHHELD ? [`${WITHHELD_EMOJI.length} emoji are withheld.`] : []),
    ...(COMPOSITIONS.length < COMPOSED ? [`There are ${COMPOSITIONS.length} compositions.`] : []),
    ...WITHHELD_EMOJI.flatMap(({ key, caption }) => [
      ...(captions.get(key) === caption
        ? []
        : [`${key} is called "${captions.get(key)}", not "${caption}".`]),
      ...untaught(caption).map((word) => `"${caption}": no other caption has "${word}".`),
    ]),
    ...[...hidden].filter((key) => !captions.has(key)).map((key) => `There is no ${key}.`),
    ...COMPOSITIONS.flatMap((text) => [
      ...(known.has(text) ? [`"${text}" has a picture.`] : []),
      ...untaught(text).map((word) => `"${text}": no caption has "${word}".`),
    ]),
  ];
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}
