/** Help, made from the declarations. */
import type { Command } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { EXIT_CODES } from "./exit-codes.ts";
import { kebabCase, type Option, type Options } from "./options.ts";
import type { Style } from "./style.ts";

/** Options that every command has; the frame reads them, commands do not see them. */
export const COMMON_OPTIONS = {
  json: {
    type: "boolean",
    description: "Print the result as one JSON document on standard output",
  },
  quiet: { type: "boolean", description: "Print no progress" },
  help: { type: "boolean", alias: "h", description: "Print this help" },
} as const satisfies Options;

/** Help of nijimi as a whole. */
export function renderMainHelp(version: string, { bold, cyan, dim }: Style): string {
  const commands = Object.entries(COMMANDS).map(([name, { description }]): Row => [
    name,
    description,
  ]);
  const codes = Object.entries(EXIT_CODES).map(([code, meaning]): Row => [code, meaning]);
  return [
    `${bold("nijimi")} ${dim(version)}: the road to Stable Diffusion, in TypeScript`,
    section(bold("Usage"), ["  nijimi <command> [options]"]),
    section(bold("Commands"), columns(commands, cyan)),
    section(
      bold("Options of every command"),
      columns(Object.entries(COMMON_OPTIONS).map(optionRow), cyan),
    ),
    section(bold("Environment"), columns(ENVIRONMENT, cyan)),
    section(bold("Exit codes"), columns(codes, cyan)),
    `Help with examples for a command: ${cyan("nijimi <command> --help")}`,
  ].join("\n\n");
}

/** Help of one command. */
export function renderCommandHelp(
  name: string,
  command: Command,
  { bold, cyan, dim }: Style,
): string {
  const entries = Object.entries(command.options);
  const inOrder = entries.filter(([, { type }]) => type === "argument");
  const flags = entries.filter(([, { type }]) => type !== "argument");
  const usage = ["nijimi", name, ...inOrder.map(usageOf), "[options]"].join(" ");
  const examples = command.examples.flatMap(({ command: line, description }) => [
    `  ${dim(`# ${description}`)}`,
    `  nijimi ${line}`,
  ]);
  return [
    `${command.description}.`,
    section(bold("Usage"), [`  ${usage}`]),
    inOrder.length > 0 ? section(bold("Arguments"), columns(inOrder.map(optionRow), cyan)) : "",
    flags.length > 0 ? section(bold("Options"), columns(flags.map(optionRow), cyan)) : "",
    section(
      bold("Options of every command"),
      columns(Object.entries(COMMON_OPTIONS).map(optionRow), cyan),
    ),
    section(bold("Examples"), examples),
  ]
    .filter(Boolean)
    .join("\n\n");
}

type Row = readonly [left: string, right: string];

const ENVIRONMENT: readonly Row[] = [
  ["NIJIMI_HOME", "Folder of models, caches and outputs (default: ~/.nijimi)"],
  ["NIJIMI_MODEL", "Model of `nijimi generate` without --model (default: emoji)"],
  ["NIJIMI_MPI", "libmpi of the launcher, where `mpirun nijimi train` does not find it"],
  ["NO_COLOR", "Set to anything: no colours on a terminal either"],
];

function optionRow([name, option]: readonly [string, Option]): Row {
  if (option.type === "argument") return [`<${kebabCase(name)}>`, describe(option)];
  const alias = option.alias === undefined ? "" : `-${option.alias}, `;
  const flag = `${alias}--${option.type === "boolean" && option.default ? "[no-]" : ""}${kebabCase(name)}`;
  return [flag + valueOf(name, option), describe(option)];
}

function valueOf(name: string, option: Exclude<Option, { type: "argument" }>): string {
  if (option.type === "boolean") return "";
  if (option.type === "choice") return ` ${option.choices.join("|")}`;
  return ` <${option.hint ?? (option.type === "number" ? "number" : kebabCase(name))}>`;
}

function describe(option: Option): string {
  const accepted =
    option.type === "argument" && option.choices ? ` (${option.choices.join(", ")})` : "";
  const preset =
    option.default === undefined || option.default === false ? "" : ` (default: ${option.default})`;
  return option.description + accepted + preset;
}

function usageOf([name, option]: readonly [string, Option]): string {
  const optional = option.type === "argument" && (option.optional || option.default !== undefined);
  return optional ? `[${kebabCase(name)}]` : `<${kebabCase(name)}>`;
}

function section(title: string, lines: readonly string[]): string {
  return [title, ...lines].join("\n");
}

function columns(rows: readonly Row[], paint: (text: string) => string): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(
    ([left, right]) => `  ${paint(left)}${" ".repeat(width - left.length)}  ${right}`,
  );
}
