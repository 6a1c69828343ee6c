/** X/Y/Z grids: every combination of values of two or three options. */
import { NijimiError, unknownName } from "../../errors.ts";
import { kebabCase, type Option, type Options } from "../options.ts";

/** One option and the values it takes. */
export interface GridAxis {
  readonly option: string;
  readonly values: readonly string[];
}

/** One combination. */
export type GridCell = Readonly<Record<string, string | number>>;

/**
 * Reads `"steps=10,20;sampler=Euler,DDIM"`. A comma in a value is written `\,`.
 *
 * @param options that may be axes, by camelCase name
 * @throws NijimiError `option` for unknown options, no values, more than three axes
 */
export function parseGrid(text: string, options: Options): GridAxis[] {
  const axes = text.split(";").map((part): GridAxis => {
    const [, name, list] = /^\s*(?:--)?([\w-]+)\s*=(.*)$/s.exec(part) ?? [];
    if (name === undefined)
      throw new NijimiError(
        "option",
        `--grid: ${JSON.stringify(part)} is not an axis; write option=value,value and separate axes by ";".`,
      );
    const option = Object.keys(options).find((own) => own === name || kebabCase(own) === name);
    if (option === undefined)
      throw unknownName("option in --grid", name, Object.keys(options).map(kebabCase));
    const values = list
      .split(/(?<!\\),/)
      .map((value) => value.trim().replaceAll("\\,", ","))
      .filter((value) => value !== "");
    if (values.length === 0) throw new NijimiError("option", `--grid: ${name} has no values.`);
    return { option, values };
  });
  if (axes.length > 3)
    throw new NijimiError("option", `--grid: got ${axes.length} axes; at most 3 are taken.`);
  if (new Set(axes.map(({ option }) => option)).size < axes.length)
    throw new NijimiError("option", "--grid: an option may be an axis only once.");
  return axes;
}

/** Every combination; the first axis changes fastest, so that it runs across. */
export function gridCells(axes: readonly GridAxis[], options: Options): GridCell[] {
  return axes.reduce<GridCell[]>(
    (cells, { option, values }) =>
      values.flatMap((value) =>
        cells.map((cell) => ({ ...cell, [option]: readValue(option, options[option], value) })),
      ),
    [{}],
  );
}

function readValue(name: string, option: Option, value: string): string | number {
  if (option.type === "number") {
    const number = Number(value);
    const { min = -Infinity, max = Infinity, integer = false } = option;
    if (
      Number.isFinite(number) &&
      number >= min &&
      number <= max &&
      (!integer || Number.isInteger(number))
    )
      return number;
    throw new NijimiError("option", `--grid: ${name} cannot be ${JSON.stringify(value)}.`);
  }
  if (option.type === "choice" && !option.choices.includes(value))
    throw unknownName(name, value, option.choices);
  return value;
}
