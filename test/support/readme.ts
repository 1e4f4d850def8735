/** A fenced block of a Markdown text. */
export interface CodeBlock {
  /** The first word after the fence, in small letters; empty when there is none. */
  readonly language: string;
  /** The text of the comment right before the block without `<!--` and `-->`, such as `test: start`; undefined without one. */
  readonly marker: string | undefined;
  /** What is between the fences, with the fence's indentation taken off; ends with a newline unless it is empty. */
  readonly code: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
}

/** What to look for; both must fit. Default: anything. */
export interface BlockFilter {
  readonly language?: string;
  readonly marker?: string;
}

const OPENING = /^( {0,3})(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/;
const COMMENT = /^\s*<!--\s*(.*?)\s*-->\s*$/;

/**
 * The fenced code blocks of a Markdown text in order. A comment marks the block that follows it, with nothing but
 * empty lines between. Throws when a fence is not closed.
 */
export function codeBlocks(markdown: string, filter: BlockFilter = {}): CodeBlock[] {
  const lines = markdown.split(/\r?\n/);
  const blocks: CodeBlock[] = [];
  let marker: string | undefined;
  for (let i = 0; i < lines.length; i++) {
    const text = lines[i]!;
    const opening = OPENING.exec(text);
    if (opening) {
      const [, indent = "", fence = "", language = ""] = opening;
      const end = lines.findIndex((line, at) => at > i && closes(line, fence));
      if (end < 0) throw new Error(`line ${i + 1}: a code block that does not end`);
      const inside = lines.slice(i + 1, end).map((line) => `${unindent(line, indent.length)}\n`);
      blocks.push({ language: language.toLowerCase(), marker, code: inside.join(""), line: i + 1 });
      marker = undefined;
      i = end;
    } else if (text.trim() !== "") {
      marker = COMMENT.exec(text)?.[1];
    }
  }
  return blocks.filter(
    ({ language, marker }) =>
      (filter.language === undefined || language === filter.language) &&
      (filter.marker === undefined || marker === filter.marker),
  );
}

/** The one block that fits. Throws, saying what there is instead, when none does or several do. */
export function codeBlock(markdown: string, filter: BlockFilter): CodeBlock {
  const [block, ...others] = codeBlocks(markdown, filter);
  if (block && others.length === 0) return block;
  const found = codeBlocks(markdown).map(
    ({ line, language, marker }) => `line ${line}: ${language} (${marker ?? "-"})`,
  );
  const count = block ? others.length + 1 : "no";
  throw new Error(`${count} blocks fit ${JSON.stringify(filter)} among\n${found.join("\n")}`);
}

function closes(line: string, fence: string): boolean {
  const closing = /^ {0,3}(`{3,}|~{3,})\s*$/.exec(line)?.[1];
  return closing !== undefined && closing[0] === fence[0] && closing.length >= fence.length;
}

function unindent(line: string, most: number): string {
  let spaces = 0;
  while (spaces < most && line[spaces] === " ") spaces++;
  return line.slice(spaces);
}
