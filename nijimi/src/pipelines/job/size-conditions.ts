/** SDXL's conditions beside the text (arXiv:2307.01952, section 2.2): sizes, crops, and the refiner's aesthetic score. */
import type { MicroConditioning } from "../request.ts";

/** What the numbers are made of. */
export interface SizeFacts {
  readonly width: number;
  readonly height: number;
  /** Numbers that the network takes: 6, or the refiner's 5, an aesthetic score in the place of the target size. */
  readonly count: number;
}

/** The numbers for both branches. */
export function timeIdsOf(
  { negative, ...micro }: MicroConditioning,
  { width, height, count }: SizeFacts,
): { readonly timeIds: number[]; readonly negativeTimeIds?: number[] } {
  const isScored = count === 5;
  const ids = (own: MicroConditioning, aestheticScore: number): number[] => [
    ...(own.originalSize ?? [height, width]),
    ...(own.cropTopLeft ?? [0, 0]),
    ...(isScored ? [own.aestheticScore ?? aestheticScore] : (own.targetSize ?? [height, width])),
  ];
  const timeIds = ids(micro, 6);
  if (negative === undefined && !isScored) return { timeIds };
  const { originalSize, targetSize } = micro;
  return { timeIds, negativeTimeIds: ids({ originalSize, targetSize, ...negative }, 2.5) };
}
