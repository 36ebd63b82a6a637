/* Three-component vectors of strict IEEE doubles: points, directions and colours. */
#ifndef VECTOR_H
#define VECTOR_H

typedef struct {
    double x, y, z;
} Vector;

static inline Vector vector(double x, double y, double z) { return (Vector){x, y, z}; }
static inline Vector add(Vector a, Vector b) { return vector(a.x + b.x, a.y + b.y, a.z + b.z); }
static inline Vector subtract(Vector a, Vector b) { return vector(a.x - b.x, a.y - b.y, a.z - b.z); }
static inline Vector scale(Vector a, double by) { return vector(a.x * by, a.y * by, a.z * by); }
static inline Vector filter(Vector a, Vector b) { return vector(a.x * b.x, a.y * b.y, a.z * b.z); }
static inline double dot(Vector a, Vector b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

static inline Vector cross(Vector a, Vector b)
{
    return vector(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}

/* An instruction of WebAssembly, exactly rounded on every machine; no library is involved. */
static inline double square_root(double value) { return __builtin_sqrt(value); }

static inline Vector unit(Vector a) { return scale(a, 1.0 / square_root(dot(a, a))); }
static inline Vector mix(Vector a, Vector b, double share) { return add(scale(a, 1.0 - share), scale(b, share)); }

#endif
