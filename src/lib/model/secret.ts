/** A private key's text, wrapped so that no log, error text or JSON shows it by accident. */

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** Holds text that must not be printed; only `reveal()` returns it, so every use can be found by that name. */
export class SecretText {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  reveal(): string {
    return this.#text
  }

  equals(other: SecretText): boolean {
    return this.#text === other.#text
  }

  toJSON(): string {
    return '[secret]'
  }

  toString(): string {
    return '[secret]'
  }

  [inspect](): string {
    return '[secret]'
  }
}
