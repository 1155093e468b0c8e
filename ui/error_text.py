"""Errors in the page's languages.

An error is raised as an English sentence, which the command line prints and a session's row keeps for whoever
opens it later, in whichever language. Here is the catalogue of these sentences, with a hole for each thing
that is filled in: a sentence is found by its words, and said in another language with the same things in
their places. For some the page says another thing in English, too: whoever sits before a browser has no use
for a command, or for a folder of the server's.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple


class _Entry(NamedTuple):
    english: str
    """As it is raised, with {holes}."""
    spanish: str
    page: str = ""
    """As the page says it in English; empty: as it is raised."""


_NO_WEIGHTS = (
    "The weights of {label} are not here yet. Press “Download the weights” first.",
    "Los pesos de {label} aún no están aquí. Pulsa primero «Descargar los pesos».",
)
_BAD_WEIGHTS = (
    "The weights of this model cannot be used: {file} is damaged or not what it should be. Ask whoever runs "
    "this server to delete it, or choose another model.",
    "Los pesos de este modelo no se pueden usar: {file} está dañado o no es lo que debería ser. Pide a quien "
    "lleva este servidor que lo borre, o elige otro modelo.",
)
_NO_DOWNLOAD = (
    "The weights could not be downloaded: {host} cannot be reached. Check the server's connection and try "
    "again, "
    "or choose another model.",
    "No se pudieron descargar los pesos: no se llega a {host}. Revisa la conexión del servidor e inténtalo "
    "de "
    "nuevo, o elige otro modelo.",
)
_NOT_OFFERED = (
    "The weights could not be downloaded: {file} is not offered any more as it should be. Choose another "
    "model, "
    "or ask whoever runs this server to get it.",
    "No se pudieron descargar los pesos: {file} ya no se ofrece como debería. Elige otro modelo, o pide a "
    "quien "
    "lleva este servidor que lo consiga.",
)
_NOT_WRITTEN = (
    "The weights could not be kept: {file} cannot be written on the server. Ask whoever runs it.",
    "No se pudieron guardar los pesos: {file} no se puede escribir en el servidor. Pregunta a quien lo "
    "lleva.",
)
_AWAY = (
    "The database does not answer. Try again in a moment.",
    "La base de datos no responde. Inténtalo de nuevo en un momento.",
)
_LOST = (
    "The process that worked on this was lost: {how}.",
    "Se ha perdido el proceso que trabajaba en esto: {how}.",
)


def _like(said: tuple[str, str], *english: str) -> list[_Entry]:
    """Entries for several causes of which the page says the same."""
    return [_Entry(one, said[1], said[0]) for one in english]


_ENTRIES: list[_Entry] = [
    # Videos
    _Entry("{name}: there is no such file.", "{name}: no existe ese archivo."),
    _Entry(
        "{name}: its pictures grow to {width} × {height} on the way, and {most} million pixels are the most "
        "that can be taken here. Bring the whole video to one size first.",
        "{name}: sus imágenes crecen a {width} × {height} por el camino, y aquí se admiten como mucho {most} "
        "millones de píxeles. Pon antes todo el vídeo al mismo tamaño.",
    ),
    _Entry("{name}: this is no file.", "{name}: esto no es un archivo."),
    _Entry(
        "{name}: there is no permission to read this file.", "{name}: no hay permiso para leer este archivo."
    ),
    _Entry(
        "{name}: the file is empty (0 bytes). Copy or download it again.",
        "{name}: el archivo está vacío (0 bytes). Cópialo o descárgalo otra vez.",
    ),
    _Entry(
        "{name}: this is a picture, not a video. Choose a video.",
        "{name}: esto es una imagen, no un vídeo. Elige un vídeo.",
    ),
    _Entry(
        "{name}: the file holds {held}. Choose a file with a video in it.",
        "{name}: el archivo tiene {held}. Elige un archivo que contenga un vídeo.",
    ),
    _Entry("sound only", "solo sonido"),
    _Entry("no picture", "ninguna imagen"),
    _Entry(
        "{name}: its video is of an unknown kind or damaged. Convert it to MP4 and try again.",
        "{name}: su vídeo es de un tipo desconocido o está dañado. Conviértelo a MP4 e inténtalo de nuevo.",
    ),
    _Entry(
        "{name}: its pictures are {width} × {height}, which is more than can be handled or is not true. "
        "Convert it to a smaller size and try again.",
        "{name}: sus imágenes son de {width} × {height}, más de lo que se puede tratar, o no es cierto. "
        "Conviértelo a un tamaño menor e inténtalo de nuevo.",
    ),
    _Entry(
        "{name}: its colours are coded in a way (Dolby Vision profile 5, YCgCo) that is not known here. "
        "Convert it to SDR or HDR10 and try again.",
        "{name}: sus colores están codificados de un modo (Dolby Vision perfil 5, YCgCo) que aquí no se "
        "conoce. "
        "Conviértelo a SDR o HDR10 e inténtalo de nuevo.",
    ),
    _Entry(
        "{name}: there is not one picture in this video.", "{name}: en este vídeo no hay ni una sola imagen."
    ),
    _Entry(
        "{name}: not one picture of this video could be decoded.",
        "{name}: no se pudo decodificar ni una sola imagen de este vídeo.",
    ),
    _Entry(
        "{name}: the file is cut short: it promises {promised} frames and holds {held}. Copy or download it "
        "again.",
        "{name}: el archivo está cortado: promete {promised} fotogramas y contiene {held}. Cópialo o "
        "descárgalo "
        "otra vez.",
    ),
    _Entry(
        "{name}: this cannot be read as a video. It may be damaged, protected, a playlist or of an unknown "
        "kind; "
        "check that it plays elsewhere, or convert it to MP4.",
        "{name}: esto no se puede leer como vídeo. Puede estar dañado o protegido, ser una lista de "
        "reproducción "
        "o de un tipo desconocido; comprueba que se reproduce en otro sitio, o conviértelo a MP4.",
    ),
    _Entry(
        "{name}: there is not enough memory for its pictures. Close other programs, or convert it to a "
        "smaller "
        "size.",
        "{name}: no hay memoria suficiente para sus imágenes. Cierra otros programas, o conviértelo a un "
        "tamaño "
        "menor.",
    ),
    _Entry(
        "{name}: this file cannot be read safely: {how}.",
        "{name}: este archivo no se puede leer con seguridad: {how}.",
    ),
    _Entry("the process that read it was lost, {how}", "se perdió el proceso que lo leía, {how}"),
    _Entry(
        "{name}: frame {index} cannot be decoded.", "{name}: el fotograma {index} no se puede decodificar."
    ),
    _Entry("{name} has no frame number {index}.", "{name} no tiene ningún fotograma número {index}."),
    _Entry(
        "{name}: this video is no longer on the disk. Upload it again.",
        "{name}: este vídeo ya no está en el disco. Súbelo otra vez.",
    ),
    # What may be brought
    _Entry(
        "{name}: this file has {size}, and {most} are the most that can be uploaded here. Cut a part out of "
        "it, "
        "or make it smaller, first.",
        "{name}: este archivo tiene {size}, y lo máximo que se puede subir aquí son {most}. Recorta antes "
        "una "
        "parte, o hazlo más pequeño.",
    ),
    _Entry(
        "{name}: this video lasts {length}, and {most} are the most that can be taken here. Cut a part out "
        "of it "
        "first.",
        "{name}: este vídeo dura {length}, y lo máximo que se admite aquí son {most}. Recorta antes una "
        "parte.",
    ),
    _Entry(
        "{name}: frames of {width} × {height} are larger than can be taken here ({most} million pixels). "
        "Scale "
        "the video down first.",
        "{name}: fotogramas de {width} × {height} son mayores de lo que se admite aquí ({most} millones de "
        "píxeles). Reduce antes el vídeo.",
    ),
    _Entry(
        "This may take {need}, and {left} are left of the {most} that you may keep here. Delete sessions "
        "that "
        "you no longer need.",
        "Esto puede ocupar {need}, y te quedan {left} de los {most} que puedes guardar aquí. Borra las "
        "sesiones "
        "que ya no necesites.",
    ),
    _Entry(
        "{name}: frames of {width} × {height} need about {need} of memory, and {free} are free. Close other "
        "programs, or scale the video down first.",
        "{name}: fotogramas de {width} × {height} necesitan unos {need} de memoria, y hay {free} libres. "
        "Cierra "
        "otros programas, o reduce antes el vídeo.",
    ),
    _Entry(
        "{name}: this may take {need} on the disk, and {free} are free. Free some space, cut a shorter part, "
        "or "
        "choose a smaller format or quality.",
        "{name}: esto puede ocupar {need} en el disco, y hay {free} libres. Libera espacio, recorta una "
        "parte "
        "más corta, o elige un formato o una calidad menores.",
    ),
    # Backgrounds
    _Entry("{name}: there is no such background picture.", "{name}: no existe esa imagen de fondo."),
    _Entry(
        "{name}: the picture has more than {most} million pixels, too many. Scale it down and try again.",
        "{name}: la imagen tiene más de {most} millones de píxeles, demasiados. Redúcela e inténtalo de "
        "nuevo.",
    ),
    _Entry(
        "{name}: this JPEG has more than {most} scans, too many. Save it again with a picture program and "
        "try "
        "again.",
        "{name}: este JPEG tiene más de {most} pasadas, demasiadas. Guárdalo otra vez con un programa de "
        "imágenes "
        "e inténtalo de nuevo.",
    ),
    _Entry(
        "{count} of your uploads are being looked at, and {more} wait. Try again when they are done.",
        "Se están mirando {count} de tus archivos, y {more} esperan. Inténtalo de nuevo cuando acaben.",
    ),
    _Entry(
        "{name}: this is no picture that can be used as a background. Choose a JPEG, PNG or WebP.",
        "{name}: esto no es una imagen que sirva de fondo. Elige un JPEG, PNG o WebP.",
    ),
    _Entry(
        "{name}: this picture moves. Choose it as a video.",
        "{name}: esta imagen se mueve. Elígela como vídeo.",
    ),
    _Entry(
        "blur:{text}: the radius is a number of pixels from 1 to 500.",
        "blur:{text}: el radio es un número de píxeles de 1 a 500.",
    ),
    _Entry(
        "{text} is no background. Give a colour such as #00b140 or white, a picture's path, blur, or "
        "transparent.",
        "{text} no es un fondo. Elige un color, una imagen, un vídeo, el desenfoque o transparente.",
        "{text} is no background. Choose a colour, a picture, a video, blur or transparent.",
    ),
    _Entry(
        "{name}: {word} says nothing. A picture or video can be laid {fits}, and a video's last frame can be "
        "held with {hold}.",
        "{name}: {word} no dice nada. Una imagen o un vídeo se pone con {fits}, y el último fotograma de un "
        "vídeo se deja con {hold}.",
    ),
    _Entry(
        "{colour} is transparent in part, and a colour behind the subject is opaque. Leave its alpha out, or "
        "give "
        "transparent.",
        "{colour} es en parte transparente, y un color tras el sujeto es opaco. Quítale el alfa, o elige "
        "transparente.",
    ),
    _Entry(
        "Choose the picture that is to stand behind the subject first.",
        "Elige primero la imagen que irá tras el sujeto.",
    ),
    _Entry(
        "Choose the {thing} that is to stand behind the subject first.",
        "Elige primero el vídeo que irá tras el sujeto.",
    ),
    _Entry("A picture or video is uploaded, not named.", "Una imagen o un vídeo se sube, no se nombra."),
    _Entry("There is no background called {name}.", "No hay ningún fondo llamado {name}."),
    _Entry(
        "{colour} is no colour. Choose one with the picker.",
        "{colour} no es un color. Elige uno con el selector.",
    ),
    _Entry(
        "The sound of the background is wanted, but the background is no video.",
        "Se pide el sonido del fondo, pero el fondo no es un vídeo.",
    ),
    # Marks and parts
    _Entry(
        "A mark sits at {time} s, but the video is {length} s long. Give a time within the video.",
        "Una marca está en {time} s, pero el vídeo dura {length} s. Ponla dentro del vídeo.",
    ),
    _Entry("Objects are numbered from 1 to {most}.", "Los objetos se numeran de 1 a {most}."),
    _Entry(
        "A candidate is chosen for a single click, by a number below {most}.",
        "Una opción se elige para un solo clic, con un número menor que {most}.",
    ),
    _Entry(
        "A box is less than one pixel wide or high. Draw it around the subject.",
        "Un recuadro mide menos de un píxel. Dibújalo alrededor del sujeto.",
    ),
    _Entry(
        "A mark at {place} lies outside the picture, which is {width} × {height} pixels.",
        "Una marca en {place} está fuera de la imagen, que tiene {width} × {height} píxeles.",
    ),
    _Entry("Marks are read as {form}, and this is none: {data}", "Esto no son marcas: {data}"),
    _Entry("This is no object to keep: {data}", "Esto no es un objeto que conservar: {data}"),
    _Entry(
        "Prompts are a JSON list, one entry for each marked frame.",
        "Las marcas son una lista JSON, con una entrada por cada fotograma marcado.",
    ),
    _Entry(
        "These marks are about more than {most} objects, which is too many.",
        "Estas marcas son de más de {most} objetos, que son demasiados.",
    ),
    _Entry(
        "Objects are a short JSON list, one entry for each thing to keep.",
        "Los objetos son una lista JSON corta, con una entrada por cada cosa que conservar.",
    ),
    _Entry(
        "{label} takes no such marks. Remove them or choose another model.",
        "{label} no admite esas marcas. Quítalas o elige otro modelo.",
    ),
    _Entry(
        "Every object is switched off. Switch one on, or there is nothing to keep.",
        "Todos los objetos están apagados. Enciende uno, o no hay nada que conservar.",
    ),
    _Entry(
        "{label} needs to be told what to keep. Click on the subject first.",
        "{label} necesita saber qué conservar. Haz clic primero en el sujeto.",
    ),
    _Entry("The marks have changed since.", "Las marcas han cambiado desde entonces."),
    _Entry("The end must come after the start.", "El final debe ir después del comienzo."),
    _Entry("A time is a number of seconds.", "Un tiempo es un número de segundos."),
    _Entry(
        "The start, {start} s, lies outside {name}, which is {length} s long.",
        "El comienzo, {start} s, está fuera de {name}, que dura {length} s.",
    ),
    _Entry(
        "The end, {end} s, must come after the start, {start} s.",
        "El final, {end} s, debe ir después del comienzo, {start} s.",
    ),
    # Choices
    _Entry(
        "There is no model called {key}. There are: {keys}.",
        "No hay ningún modelo llamado {key}. Hay: {keys}.",
    ),
    _Entry(
        "There is no format called {key}. There are: {keys}.",
        "No hay ningún formato llamado {key}. Hay: {keys}.",
    ),
    _Entry(
        "{label} cannot hold transparency. Choose {able}, or another background.",
        "{label} no admite transparencia. Elige {able}, u otro fondo.",
    ),
    _Entry(
        "{path}: the name must end in one of {suffixes}, or be that of a folder.",
        "{path}: el nombre debe acabar en uno de {suffixes}, o ser el de una carpeta.",
    ),
    _Entry("{value} is no quality. There are {known}.", "{value} no es una calidad. Hay {known}."),
    _Entry(
        "{value} is no choice of sound. There are {known}.",
        "{value} no es una opción de sonido. Hay {known}.",
    ),
    _Entry("{value} is no screen. There are {known}.", "{value} no es una pantalla. Hay {known}."),
    _Entry(
        "A result has from 1 to {most} frames a second.",
        "Un resultado tiene de 1 a {most} fotogramas por segundo.",
    ),
    _Entry(
        "The cut can grow or shrink by at most {most} pixels.",
        "El recorte puede ampliarse o reducirse como mucho {most} píxeles.",
    ),
    _Entry(
        "The edge can be feathered by 0 to {most} pixels.",
        "El borde se puede suavizar de 0 a {most} píxeles.",
    ),
    _Entry("There is no view called {view}.", "No hay ninguna vista llamada {view}."),
    _Entry("This is no longer here.", "Esto ya no está aquí."),
    _Entry(
        "{name}: this session was written by another version of the program, or is damaged. Update the "
        "program, "
        "or delete the session.",
        "{name}: esta sesión la escribió otra versión del programa, o está dañada. Actualiza el programa, o "
        "borra "
        "la sesión.",
    ),
    _Entry(
        "Several of your uploads are being looked at. Try again when they are done.",
        "Se están mirando varios de tus archivos. Inténtalo de nuevo cuando acaben.",
    ),
    _Entry(
        "Previews of yours are being made already. Try again when they are done.",
        "Ya se están haciendo muestras tuyas. Inténtalo de nuevo cuando acaben.",
    ),
    _Entry("There is no such result.", "No existe ese resultado."),
    _Entry(
        "There is no session {id} that nobody needs any more.",
        "No hay ninguna sesión {id} que ya nadie necesite.",
    ),
    _Entry("There is no session {id}.", "La sesión {id} no existe."),
    # Devices and models at work
    _Entry(
        "{name} is no device. There are auto, cpu, cuda and cuda:N.",
        "{name} no es un dispositivo. Hay auto, cpu, cuda y cuda:N.",
    ),
    _Entry(
        "There is no CUDA device that can be used here. Choose the device auto or cpu.",
        "Aquí no hay ningún dispositivo CUDA que se pueda usar. Elige el dispositivo auto o cpu.",
    ),
    _Entry(
        "There is no device cuda:{number}: the CUDA devices are numbered 0 to {last}.",
        "No hay ningún dispositivo cuda:{number}: los dispositivos CUDA van de 0 a {last}.",
    ),
    _Entry(
        "The device has too little free memory for a single frame. Free some, or choose the device cpu or a "
        "smaller model.",
        "El dispositivo tiene muy poca memoria libre para un solo fotograma. Libera algo, o elige el "
        "dispositivo "
        "cpu o un modelo menor.",
    ),
    _Entry(
        "There is not enough memory for this. Close other programs, or use a smaller video.",
        "No hay memoria suficiente para esto. Cierra otros programas, o usa un vídeo más pequeño.",
    ),
    _Entry(
        "The model returned a matte that belongs to no frame.",
        "El modelo devolvió una máscara que no es de ningún fotograma.",
    ),
    _Entry(
        "The model returned fewer mattes than there are frames.",
        "El modelo devolvió menos máscaras que fotogramas hay.",
    ),
    # Writing
    _Entry(
        "{name}: the disk is full. Free some space and run it again.",
        "{name}: el disco está lleno. Libera espacio y hazlo otra vez.",
    ),
    _Entry("{name}: this could not be written ({reason}).", "{name}: no se pudo escribir ({reason})."),
    _Entry(
        "{name}: another run is making this matte. Wait for it, or stop it.",
        "{name}: otra ejecución está haciendo esta máscara. Espera a que acabe, o párala.",
    ),
    _Entry(
        "{name}: this matte has {count} pictures, more than {clip} has frames for. Give the one made from "
        "it.",
        "{name}: esta máscara tiene {count} imágenes, más que fotogramas tiene {clip}. Usa la que se hizo "
        "con él.",
    ),
    _Entry(
        "{name}: there is no matte for any frame of {clip} in it.",
        "{name}: no contiene la máscara de ningún fotograma de {clip}.",
    ),
    _Entry(
        "{name}: this matte has {width} × {height} pixels and {clip} has {wide} × {high}. Give the one made "
        "from "
        "it.",
        "{name}: esta máscara tiene {width} × {height} píxeles y {clip} tiene {wide} × {high}. Usa la que se "
        "hizo "
        "con él.",
    ),
    _Entry(
        "{name}: this matte has no picture for the part of {clip} asked for.",
        "{name}: esta máscara no tiene imágenes de la parte pedida de {clip}.",
    ),
    _Entry(
        "{name}: the result and the matte cannot be the same file.",
        "{name}: el resultado y la máscara no pueden ser el mismo archivo.",
    ),
    _Entry(
        "{name}: the result would overwrite a file that it is made from.",
        "{name}: el resultado sobrescribiría un archivo con el que se hace.",
    ),
    _Entry(
        "{name}: what was written was checked and is not right: {wrong}. Run it again; if it stays so, "
        "choose "
        "another format.",
        "{name}: se comprobó lo escrito y no está bien: {wrong}. Hazlo otra vez; si sigue igual, elige otro "
        "formato.",
    ),
    _Entry(
        "The first picture of what was written cannot be decoded. Run it again.",
        "La primera imagen de lo escrito no se puede decodificar. Hazlo otra vez.",
    ),
    _Entry(
        "{name}: not one picture of what was written can be decoded.",
        "{name}: no se puede decodificar ni una imagen de lo escrito.",
    ),
    _Entry(
        "{name}: there are other files in this folder. Give the name of a new or an empty one.",
        "{name}: en esta carpeta hay otros archivos. Usa el nombre de una nueva o vacía.",
    ),
    _Entry(
        "{name}: this is a file. Give the name of a folder, or one that ends in .zip.",
        "{name}: esto es un archivo. Usa el nombre de una carpeta, o uno que acabe en .zip.",
    ),
    _Entry(
        "{name}: this is a folder. Give the name of a file to write.",
        "{name}: esto es una carpeta. Usa el nombre de un archivo.",
    ),
    _Entry(
        "{name}: the folder to write it into does not exist.",
        "{name}: la carpeta donde escribirlo no existe.",
    ),
    _Entry(
        "{name}: nothing can be written into its folder.", "{name}: no se puede escribir nada en su carpeta."
    ),
    _Entry(
        "No graphics card here could encode this; the processor did it.",
        "Ninguna tarjeta gráfica pudo codificar esto aquí; lo hizo el procesador.",
    ),
    # How runs end
    _Entry(
        "The program was stopped before this was finished: start it again to continue.",
        "El programa se paró antes de terminar esto: hazlo otra vez para continuar.",
    ),
    _Entry(
        "The program stopped before this was finished: start it again to continue.",
        "El programa se paró antes de terminar esto: hazlo otra vez para continuar.",
    ),
    _Entry(
        "Not one frame was finished for {minutes} minutes, so this was ended: start it again to continue.",
        "No se terminó ni un fotograma en {minutes} minutos, así que se acabó: hazlo otra vez para "
        "continuar.",
    ),
    _Entry(f"{_LOST[0]} Start it again to continue.", f"{_LOST[1]} Hazlo otra vez para continuar."),
    _Entry(f"{_LOST[0]} Try again.", f"{_LOST[1]} Inténtalo de nuevo."),
    _Entry("The program is being stopped.", "El programa se está parando."),
    _Entry(
        "Something went wrong inside the program; its log has the details.",
        "Algo ha fallado dentro del programa; su registro tiene los detalles.",
    ),
    _Entry("the graphics card no longer answered it", "la tarjeta gráfica dejó de responderle"),
    _Entry("it was killed, and memory may have run out", "lo mataron, y puede que se acabara la memoria"),
    _Entry("it took too long", "tardó demasiado"),
    _Entry("it crashed", "falló"),
    _Entry("it did not answer for {minutes} minutes", "no respondió en {minutes} minutos"),
    _Entry("it was ended by signal {number}", "lo acabó la señal {number}"),
    _Entry("it ended with status {status}", "acabó con el estado {status}"),
    _Entry("it ended", "se acabó"),
    # Weights
    _Entry(
        "{restriction} Read {url}, then acknowledge it once: on the page, or with --accept-licence.",
        "Lee la licencia de este modelo en {url} y confirma que la respetas: la casilla está bajo el modelo.",
        "{restriction} Read {url}, then tick that you keep to it, below the model.",
    ),
    *_like(
        _NO_WEIGHTS,
        "{label} needs its weights, {files}. Download them with `python -m pipeline download {key}`, or put "
        "the "
        "{thing} into {folder}.",
    ),
    *_like(
        _BAD_WEIGHTS,
        "{file} should be in {folder}, but is not there. Put the application's files back, or choose another "
        "model.",
        "{file}: {label} needs {count} files, {files}. Name the folder that holds them.",
        "{file}: {label} needs {files}; that is not in this folder.",
        "{file}: there is no such file or folder of weights.",
        "{file}: there are no weights in this folder.",
        "{file}: these weights cannot be read: {reason}.",
        "{file} in {folder} is damaged, or another file of that name: its SHA-256 is not what it should be. "
        "Delete it, and download it again.",
        "{file} in {folder} holds more than plain tensors, or is damaged, and was not loaded. Delete it, and "
        "download it again.",
        "{file} in {folder} is damaged or no checkpoint. Delete it, and download it again.",
        "{file} in {folder} is damaged or no configuration. Delete it, and download it again.",
        "{file} in {folder} describes no network that can be built. Delete it, and download it again.",
        "{file} does not describe SAM 2 for video. Put the one of its weights there.",
        "{file}: weights are read from .safetensors, .pth, .pt and .bin files only.",
        "{file} holds something other than tensors by name, and was not loaded.",
        "{file} is not this model's: it {told}.",
        "{file} cannot be read: {reason}.",
    ),
    *_like(
        _NO_DOWNLOAD,
        "{host} cannot be reached ({error}). Without a network, {how}",
        "{host} is busy or out of order ({status}). Try again later, or {how}",
        "The weights are said to be at {host}, in this machine's own network; nothing was fetched.",
        "{host} offers the weights without encryption; nothing was fetched.",
    ),
    *_like(
        _NOT_OFFERED,
        "{host} has no {file} any more ({status} for {url}). If you have it, put it into {folder} as "
        "{again}.",
        "{host} does not hand out {file} without a login ({status}). Log in there with a browser, {how}",
        "{host} answered with a page instead of {file}. Open it in a browser to see what it says, or {how}",
        "{host} answered {status} for {file}. Try again later, or {how}",
        "What is offered as {file} has {length} bytes instead of {bytes}: it is another file, and was not "
        "fetched. "
        "If it stays so, {how}",
        "{file} arrived with another SHA-256 than it should have, and was deleted. Try again; if it stays "
        "so, "
        "{how}",
        "{file} leads nowhere. To go on, {how}",
    ),
    *_like(
        _NOT_WRITTEN,
        "{file} cannot be written into {folder}: {reason}. Mend that, or name another folder with "
        "RECORTE_WEIGHTS.",
        "There is no room for {file} in {folder}. Make some, or name another folder with RECORTE_WEIGHTS.",
    ),
    _Entry(
        "The download of {file} broke off after {have} of {total}. Start it again: it goes on from there.",
        "La descarga de {file} se cortó tras {have} de {total}. Empiézala otra vez: sigue desde ahí.",
    ),
    # What is kept
    _Entry(
        "{name}: this session was written by another version of the program, or is damaged. Update the "
        "program, or delete the session.",
        "{name}: esta sesión la escribió otra versión del programa, o está dañada. Actualiza el programa o "
        "borra la sesión.",
    ),
    _Entry(
        "This holds a character that cannot be kept. Take it out, and try again.",
        "Esto tiene un carácter que no se puede guardar. Quítalo e inténtalo otra vez.",
    ),
    _Entry(
        "This holds a number that is none, and cannot be kept.",
        "Esto tiene un número que no lo es, y no se puede guardar.",
    ),
    _Entry(
        "This holds a number that is too large to be kept.",
        "Esto tiene un número demasiado grande para guardarlo.",
    ),
    # The database
    *_like(
        _AWAY,
        "The embedded database does not answer ({reason}). It is started again where it has ended: try again "
        "in a moment. If it stays so, start the program again.",
        'The database "{name}" on {host} cannot be reached ({reason}): check DATABASE_URL, or unset it to '
        "use the embedded database.",
    ),
]


@cache
def _patterns() -> list[tuple[re.Pattern[str], _Entry]]:
    patterns = []
    for entry in _ENTRIES:
        parts = re.split(r"\{(\w+)\}", entry.english)
        words = [re.escape(part) if n % 2 == 0 else f"(?P<{part}>.+?)" for n, part in enumerate(parts)]
        patterns.append((re.compile("".join(words), re.DOTALL), entry))
    return patterns


def translate(language: str, sentence: str) -> str:
    """An error's sentence as the page says it; one that is not in the catalogue as it is."""
    for pattern, entry in _patterns():
        if match := pattern.fullmatch(sentence):
            said = entry.spanish if language == "es" else entry.page
            # What is filled in may be one of these itself, such as how a process ended.
            fields = {name: translate(language, value) for name, value in match.groupdict().items()}
            return said.format(**fields) if said else sentence
    return sentence
