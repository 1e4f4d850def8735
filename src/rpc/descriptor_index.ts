import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";

interface IndexedFile {
  /** The serialized FileDescriptorProto, byte for byte as in the image. */
  readonly bytes: Uint8Array;
  readonly dependencies: readonly string[];
}

/**
 * The files of a descriptor image by name, by the symbols that they declare and by the extensions that they define. Names are
 * fully qualified and have no leading dot.
 */
export class DescriptorIndex {
  readonly #files = new Map<string, IndexedFile>();
  readonly #bySymbol = new Map<string, string>();
  /** By extended message and field number. */
  readonly #extensions = new Map<string, Map<number, string>>();

  /** `image`: a serialized google.protobuf.FileDescriptorSet with all its imports. */
  constructor(image: Uint8Array) {
    const reader = new BinaryReader(image);
    while (reader.pos < reader.len) {
      reader.tag();
      // Decoding and encoding it again could change the bytes.
      const bytes = reader.bytes();
      this.#add(fromBinary(FileDescriptorProtoSchema, bytes), bytes);
    }
  }

  /** The names of all files. */
  get files(): string[] {
    return [...this.#files.keys()];
  }

  /** The descriptor of a file, followed by those of the files that it imports, directly or not; empty: no such file. */
  descriptorsOf(file: string): Uint8Array[] {
    const names = new Set([file]);
    // A set is iterated in the order in which it grows.
    for (const name of names) for (const dependency of this.#files.get(name)?.dependencies ?? []) names.add(dependency);
    return [...names].flatMap((name) => this.#files.get(name)?.bytes ?? []);
  }

  /** The file that declares a service, method, message, field, oneof, enum, enum value or extension. */
  fileOfSymbol(symbol: string): string | undefined {
    return this.#bySymbol.get(symbol);
  }

  /** The file that defines the extension of a message with this field number. */
  fileOfExtension(message: string, number: number): string | undefined {
    return this.#extensions.get(message)?.get(number);
  }

  /** The field numbers of a message's extensions. */
  extensionNumbersOf(message: string): number[] {
    return [...(this.#extensions.get(message)?.keys() ?? [])];
  }

  #add(file: FileDescriptorProto, bytes: Uint8Array): void {
    this.#files.set(file.name, { bytes, dependencies: file.dependency });
    const declare = (scope: string, name: string): string => {
      const symbol = scope === "" ? name : `${scope}.${name}`;
      this.#bySymbol.set(symbol, file.name);
      return symbol;
    };
    const declareEnum = (scope: string, { name, value }: EnumDescriptorProto): void => {
      declare(scope, name);
      // As in C++, the values of an enum are in the scope that the enum is in.
      for (const one of value) declare(scope, one.name);
    };
    const declareExtension = (scope: string, { name, extendee, number }: FieldDescriptorProto): void => {
      declare(scope, name);
      const message = extendee.replace(/^\./, "");
      const extensions = this.#extensions.get(message) ?? new Map<number, string>();
      this.#extensions.set(message, extensions.set(number, file.name));
    };
    const declareMessage = (scope: string, message: DescriptorProto): void => {
      const name = declare(scope, message.name);
      for (const field of [...message.field, ...message.oneofDecl]) declare(name, field.name);
      for (const nested of message.nestedType) declareMessage(name, nested);
      for (const nested of message.enumType) declareEnum(name, nested);
      for (const nested of message.extension) declareExtension(name, nested);
    };
    for (const message of file.messageType) declareMessage(file.package, message);
    for (const one of file.enumType) declareEnum(file.package, one);
    for (const extension of file.extension) declareExtension(file.package, extension);
    for (const service of file.service) {
      const name = declare(file.package, service.name);
      for (const method of service.method) declare(name, method.name);
    }
  }
}
