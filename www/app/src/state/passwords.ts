// Passwords of PDFs, until the page is left: they are kept nowhere.

const passwords = new Map<string, string>();

/** Of the file with this id; empty where none was given. */
export function passwordOf(file: string): string {
  return passwords.get(file) ?? "";
}

export function givePassword(file: string, password: string): void {
  passwords.set(file, password);
}
