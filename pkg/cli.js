#!/usr/bin/env node
// npx maoocr FILE…: prints the text of pictures.

import { parseArgs } from "node:util";
import { readFileSync } from "node:fs";

import { MaoOCR, OcrError } from "./node.js";

const HELP = `Usage: maoocr [options] FILE...

Prints the text of pictures: PNG, JPEG, WebP, GIF, BMP, PNM, TIFF. - is standard input.

  --json            print what is known of each page: lines, boxes, confidence
  --language TAG    of the text: auto (default), en, zh-Hans, de ...
  --accurate        take more time for difficult pictures
  --models FOLDER   models that \`maoocr models pull\` of the native command fetched; default: those of this package
  --version, --help
`;

function options() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        json: { type: "boolean" },
        language: { type: "string" },
        accurate: { type: "boolean" },
        models: { type: "string" },
        version: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (thrown) {
    process.stderr.write(`maoocr: ${thrown.message}\n`);
    process.exit(2);
  }
}

async function standardInput() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const { values, positionals: files } = options();
if (values.version) {
  const { version } = JSON.parse(readFileSync(new URL("./package.json", import.meta.url), "utf8"));
  process.stdout.write(`maoocr ${version}\n`);
} else if (values.help || files.length === 0) {
  (values.help ? process.stdout : process.stderr).write(HELP);
  process.exitCode = values.help ? 0 : 2;
} else {
  const ocr = new MaoOCR(values.models === undefined ? {} : { models: values.models });
  const call = {
    ...(values.language && { language: values.language }),
    ...(values.accurate && { accuracy_requirement: "high" }),
  };
  for (const file of files) {
    try {
      const { text, pages } = await ocr.recognize(file === "-" ? await standardInput() : file, call);
      process.stdout.write(values.json ? `${JSON.stringify(pages.length === 1 ? pages[0] : pages)}\n` : `${text}\n`);
    } catch (thrown) {
      const { code, message } = OcrError.from(thrown);
      const what = message.startsWith(`${file}: `) ? message : `${file}: ${message}`;
      process.stderr.write(`maoocr: ${what} (${code})\n`);
      process.exitCode = 1;
    }
  }
  await ocr.terminate();
}
